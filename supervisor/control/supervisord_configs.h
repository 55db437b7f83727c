#pragma once
// getAllConfigInfo: what supervisord's clients are told of the settings of processes.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/xmlrpc.h"

namespace muster::control {

struct ConfigView {
    struct Stream {
        std::string_view path;  // "" = kept in memory
        bool is_none = false;   // it does not pass through the supervisor
    };
    std::string id;
    std::string_view group;  // "" = the program is a group of its own
    std::string_view program;
    std::string command;               // one line, as a shell would take it
    std::string_view directory;        // "" = the supervisor's own
    std::optional<std::uint32_t> uid;  // nothing: as the supervisor
    bool is_active = true;
    bool autostart = true;
    bool redirects_stderr = false;
    bool kills_as_group = false;
    std::uint32_t group_priority = 999;
    std::uint32_t priority = 999;
    std::uint32_t start_retries = 0;
    std::int64_t start_secs = 0;
    int stop_signal = 0;
    std::int64_t stop_wait_secs = 0;
    const std::vector<int>* exit_codes = nullptr;
    std::uint64_t rotate_size = 0;
    std::uint32_t rotate_keep = 0;
    Stream out;
    Stream err;
};

// Sorted by the process' name.
xmlrpc::Array config_infos(
    const std::function<void(const std::function<void(const ConfigView&)>&)>& each);

}  // namespace muster::control
