#pragma once
// How much memory sessions hold.

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <vector>

namespace muster::child {

// Resident bytes of all processes of each session together, in the order of its leaders; 0 of one
// that is not there. What processes share counts for each of them. Reads all of /proc: not on the
// loop's thread.
std::vector<std::uint64_t> session_memory(std::span<const pid_t> leaders);

}  // namespace muster::child
