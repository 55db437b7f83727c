#pragma once
// What the adapters of all job systems do alike.

#include <functional>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "redis/client.h"
#include "redis/reply.h"
#include "registry/registry.h"
#include "registry/system.h"

namespace muster::registry {

// "releasing a worker: Redis refuses: NOPERM …"
Error unexpected(const char* what, const redis::Reply& reply);

// Milliseconds, as a script writes them; what nobody can have meant (beyond 10 years) is cut.
Duration ms_of(const std::string& text);

// {verdict, detail, ids of jobs handed back …, {id of a job failed} …}, as every release script
// answers.
Result<Released> released(const redis::Reply& reply);

// What a script's answer means, told to whoever waits for the release.
std::function<void(Result<redis::Reply>)> answer_released(System::ReleaseDone done);

// Whom to look for where a worker died before it was seen.
Sought sought_of(const Release& release);

// The release of a worker that has nothing (more) in the registry: its claim goes.
void drop_claim_of(redis::Client& client,
                   const SystemOptions& options,
                   const Release& release,
                   Released::Verdict verdict,
                   System::ReleaseDone done);

// Of a worker that died before it was seen, when it has been looked for: what was found is
// released by `release_known`, and where there is nothing its claim goes.
System::LookDone release_found(redis::Client& client,
                               const SystemOptions& options,
                               const Release& release,
                               std::function<void(const Registration&)> release_known,
                               System::ReleaseDone done);

}  // namespace muster::registry
