#pragma once
// Memory and CPU of whole families, from one pass over /proc: some 15 µs for each process there is,
// so it is run in a pool, not on the loop.

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "base/time.h"

namespace muster::child {

struct FamilyUsage {
    std::uint32_t processes = 0;
    std::uint64_t memory = 0;  // resident bytes; pages that several share are counted in each
    Duration cpu{0};           // of all of them, and of those of them that have been waited for
};

// For each leader that lives. A process belongs to the nearest leader above it, else to the leader
// of its session.
std::unordered_map<pid_t, FamilyUsage> usage_of_families(const std::vector<pid_t>& leaders);

}  // namespace muster::child
