#pragma once
// What the scripts of every job system answer alike.

#include "base/result.h"
#include "redis/reply.h"
#include "registry/registry.h"

namespace muster::registry {

// "releasing a worker: Redis refuses: NOPERM …"
Error unexpected(const char* what, const redis::Reply& reply);

// {verdict, detail, ids of jobs handed back …}, as every release script answers.
Result<Released> released(const redis::Reply& reply);

}  // namespace muster::registry
