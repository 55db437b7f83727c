#pragma once
// Sidekiq's set of processes. An identity ("hostname:pid:nonce") is the process's own choice and
// never used twice: it is learnt from the registry, by host, pid and start. Its entries go; the
// jobs in hand had left their queue before, and plain Sidekiq keeps nothing by which they could be
// had back. Private queues of Pro's super_fetch are not touched: it recovers them itself.

#include <string>
#include <vector>

#include "loop/lifeline.h"
#include "redis/client.h"
#include "registry/process_search.h"
#include "registry/registry.h"
#include "registry/system.h"

namespace muster::registry {

class Sidekiq final : public System {
public:
    Sidekiq(redis::Client& client, SystemOptions options);

    [[nodiscard]] RegistryKind kind() const override { return RegistryKind::sidekiq; }
    // Found are also processes whose $DYNO is the name that we gave them.
    void look(std::vector<Sought> sought, LookDone done) override;
    void release(const Release& release, ReleaseDone done) override;
    void work(std::vector<std::string> names, WorkDone done) override;

private:
    void release_known(const Release& release, const Registration& known, ReleaseDone done);

    redis::Client& client_;
    SystemOptions options_;
    ProcessSearch search_;
    loop::Lifeline lifeline_;
};

}  // namespace muster::registry
