#pragma once
// What /proc tells of other processes. Everything here may be gone the next moment: "nothing" is an
// answer.

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace muster::child {

struct ProcStat {
    char state;
    pid_t parent;
    pid_t session;
    std::uint64_t start_time;  // in clock ticks since boot
    std::uint64_t resident;    // in pages
    [[nodiscard]] bool is_dead() const { return state == 'Z' || state == 'X'; }
};
std::optional<ProcStat> read_stat(pid_t pid);

// The entries of its environment that begin with `prefix`; empty also where it can't be read.
std::vector<std::string> read_environment(pid_t pid, std::string_view prefix);
// The same, but nothing where we are not allowed to read it; a process that is gone has none.
std::optional<std::vector<std::string>> readable_environment(pid_t pid, std::string_view prefix);

std::vector<pid_t> all_pids();

// Of all its threads. Without CONFIG_PROC_CHILDREN all of /proc is searched.
std::vector<pid_t> children_of(pid_t pid);

// Appends the pids in an open …/children file, from its beginning.
void append_children(int fd, std::vector<pid_t>& pids);

}  // namespace muster::child
