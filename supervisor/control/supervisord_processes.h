#pragma once
// Processes as supervisord sees them: names, groups, states, and what its clients are told of one.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "control/api.h"
#include "control/xmlrpc.h"

namespace muster::control {

// supervisord's states and the classes that decide its faults.
struct SupervisordState {
    std::string_view name;
    std::int32_t code;
    bool is_running;  // start refuses it, stop takes it
    bool is_signallable;
    bool is_stopped;
};
std::span<const SupervisordState> supervisord_states();  // all, by code
const SupervisordState& state_of(std::string_view name);

// A program without a [group] is a group of its own name.
std::string_view group_of(const ProcessView& process);

// Section "Process information" of supervisord's API documentation, and rpcinterface.py.
xmlrpc::Struct process_info(const ProcessView& process);

struct NameSpec {
    std::string group;
    std::string process;  // "" = the whole group
};

NameSpec name_spec(const std::string& name);

// What is needed of one process after the view is gone.
struct Known {
    std::string id;
    std::string group;
    const SupervisordState* state;
};

std::vector<Known> all_known(const Backend& backend);
std::optional<Known> find(const Backend& backend, const std::string& name);
bool is_group(const Backend& backend, const std::string& group);

}  // namespace muster::control
