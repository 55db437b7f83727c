#include "child/memory.h"

#include <unistd.h>

#include <unordered_map>

#include "child/proc.h"

namespace muster::child {

std::vector<std::uint64_t> session_memory(std::span<const pid_t> leaders) {
    const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    std::unordered_map<pid_t, std::uint64_t> bytes;
    for (const pid_t leader : leaders) bytes.emplace(leader, 0);
    for (const pid_t pid : all_pids()) {
        const auto stat = read_stat(pid);
        if (!stat) continue;
        const auto session = bytes.find(stat->session);
        if (session != bytes.end()) session->second += stat->resident * page;
    }
    std::vector<std::uint64_t> all;
    all.reserve(leaders.size());
    for (const pid_t leader : leaders) all.push_back(bytes[leader]);
    return all;
}

}  // namespace muster::child
