#pragma once
// How many jobs wait in queues. Read only, and one call of a script, whatever the number of queues.

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "core/job_system.h"
#include "redis/client.h"

namespace muster::registry {

struct Queue {
    core::RegistryKind kind = core::RegistryKind::none;
    std::string name;
    // NOLINTNEXTLINE(modernize-use-nullptr): there is no null pointer in it
    friend auto operator<=>(const Queue&, const Queue&) = default;
};

// The lists and sorted sets in which its jobs wait. None: nobody knows them.
std::vector<std::string> queue_keys(const Queue& queue);

// A queue that is not there is empty; one whose key is something else is left out.
using Depths = std::map<Queue, std::uint64_t>;
using DepthsRead = std::function<void(Result<Depths>)>;
void read_depths(redis::Client& client, const std::vector<Queue>& queues, DepthsRead done);

}  // namespace muster::registry
