#pragma once
// What a reload changes: the running configuration against the file's. Pure.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/config.h"

namespace muster::config {

struct ProgramChange {
    std::string program;
    // Keys, by what it takes until they act. What is not known to act otherwise takes a restart.
    std::vector<std::string> live;        // at once, on what runs
    std::vector<std::string> next_start;  // from each process's next start on
    std::vector<std::string> restart;     // its processes are replaced
    std::optional<std::pair<std::uint32_t, std::uint32_t>> processes;  // from, to
    bool is_renamed = false;  // `processes` came or went: NAME to NAME_00, or back
};

struct Difference {
    std::vector<std::string> added;    // programs, in the file's order
    std::vector<std::string> removed;  // in the running one's
    std::vector<ProgramChange> changed;
    std::vector<std::string> live;           // of all: "supervisor.shutdown_timeout", "group.x"
    std::vector<std::string> needs_restart;  // of muster itself: "redis.url"; left as they are
    [[nodiscard]] bool is_empty() const {
        return added.empty() && removed.empty() && changed.empty() && live.empty() &&
               needs_restart.empty();
    }
};

Difference compare(const Config& running, const Config& wanted);

}  // namespace muster::config
