#pragma once
// supervisord's faults. No other codes: supervisorctl gives up on one it does not know.

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace muster::control {

struct Fault {
    int code;
    std::string text;
};

namespace fault {
constexpr int unknown_method = 1;
constexpr int incorrect_parameters = 2;
constexpr int bad_arguments = 3;
constexpr int signature_unsupported = 4;
constexpr int shutdown_state = 6;
constexpr int bad_name = 10;
constexpr int bad_signal = 11;
constexpr int no_file = 20;
constexpr int failed = 30;
constexpr int abnormal_termination = 40;
constexpr int spawn_error = 50;
constexpr int already_started = 60;
constexpr int not_running = 70;
constexpr int success = 80;
constexpr int already_added = 90;
constexpr int still_running = 91;
constexpr int cant_reread = 92;
}  // namespace fault

inline Fault make_fault(int code, std::string_view name, std::string_view detail = {}) {
    return {code, detail.empty() ? std::string(name) : fmt::format("{}: {}", name, detail)};
}

inline Fault bad_name(std::string_view name) {
    return make_fault(fault::bad_name, "BAD_NAME", name);
}

}  // namespace muster::control
