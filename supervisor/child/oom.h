#pragma once
// Evidence of the kernel's out-of-memory killer: how often it has killed in our cgroup, and below
// it. The count names no victim, and a death by SIGKILL while it went up may still have had another
// reason: it is evidence, not proof.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/unique_fd.h"

namespace muster::child {

class OomCounter {
public:
    // Where our children are, too: cgroup v2's memory.events, or v1's memory.oom_control.
    static OomCounter of_this_process();
    // `cgroups`: the text of /proc/self/cgroup; `root`: /sys/fs/cgroup.
    static OomCounter find(std::string_view cgroups, const std::string& root);

    // How many since the last call, or since the counter was found; nothing where it can't be read.
    std::optional<std::uint64_t> new_kills();
    [[nodiscard]] const std::string& path() const { return path_; }  // "" = there is none

private:
    [[nodiscard]] std::optional<std::uint64_t> read() const;

    std::string path_;
    UniqueFd file_;
    std::optional<std::uint64_t> last_;
};

// The value of "oom_kill 3" in such a file.
std::optional<std::uint64_t> oom_kills_in(std::string_view text);

}  // namespace muster::child
