#include "control/supervisord_processes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <iterator>

#include "base/text.h"

namespace muster::control {

namespace {

using xmlrpc::Struct;

constexpr SupervisordState states[] = {
    {"STOPPED", 0, false, false, true},   {"STARTING", 10, true, true, false},
    {"RUNNING", 20, true, true, false},   {"BACKOFF", 30, true, false, false},
    {"STOPPING", 40, false, true, false}, {"EXITED", 100, false, false, true},
    {"FATAL", 200, false, false, true},
};

std::int32_t epoch(WallTime time) {
    return xmlrpc::clamped(
        std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count());
}

// "0:00:12", "1 day, 0:00:12": Python's str(timedelta), which supervisord shows.
std::string uptime_text(std::int64_t seconds) {
    seconds = std::max<std::int64_t>(seconds, 0);
    const std::int64_t days = seconds / 86'400;
    auto clock =
        fmt::format("{}:{:02}:{:02}", seconds % 86'400 / 3'600, seconds % 3'600 / 60, seconds % 60);
    if (days == 0) return clock;
    return fmt::format("{} day{}, {}", days, days == 1 ? "" : "s", clock);
}

// "Nov 24 07:31 AM", in our local zone; English whatever the locale.
std::string stop_text(std::int32_t when) {
    static constexpr std::string_view months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const std::time_t time = when;
    std::tm local{};
    localtime_r(&time, &local);
    const int hour = local.tm_hour % 12 == 0 ? 12 : local.tm_hour % 12;
    return fmt::format("{} {:02} {:02}:{:02} {}", months[local.tm_mon], local.tm_mday, hour,
                       local.tm_min, local.tm_hour < 12 ? "AM" : "PM");
}

std::string spawn_text(const ProcessView& process) {
    if (process.state == "EXITED" && !process.ended_as_expected && process.last_exit != nullptr)
        return fmt::format("Bad exit code {}",
                           process.last_exit->by_signal ? -1 : process.last_exit->number);
    if (process.state != "BACKOFF" && process.state != "FATAL") return {};
    if (!process.spawn_error) return "Exited too quickly (process log may have details)";
    if (*process.spawn_error == ENOENT)
        return fmt::format("can't find command '{}'", process.command);
    if (*process.spawn_error == EACCES)
        return fmt::format("command at '{}' is not executable", process.command);
    return fmt::format("unknown error during fork for '{}': {}", process.id,
                       errno_text(*process.spawn_error));
}

std::string description(const ProcessView& process,
                        std::string_view spawn_error,
                        std::int32_t start,
                        std::int32_t stop,
                        std::int32_t now) {
    switch (state_of(process.state).code) {
        case 20:
            return fmt::format("pid {}, uptime {}", process.pid.value_or(0),
                               uptime_text(std::int64_t{now} - start));
        case 30:
        case 200:
            return spawn_error.empty() ? fmt::format("unknown error (try \"tail {}\")", process.id)
                                       : std::string(spawn_error);
        case 0:
        case 100:
            return start == 0 ? "Not started" : stop_text(stop);
        default:
            return {};
    }
}

}  // namespace

std::string_view group_of(const ProcessView& process) {
    return process.group.empty() ? process.program : process.group;
}

std::span<const SupervisordState> supervisord_states() {
    return states;
}

const SupervisordState& state_of(std::string_view name) {
    static constexpr SupervisordState unknown{"UNKNOWN", 1000, false, false, true};
    const auto* found =
        std::find_if(std::begin(states), std::end(states),
                     [&](const SupervisordState& each) { return each.name == name; });
    return found == std::end(states) ? unknown : *found;
}

Struct process_info(const ProcessView& process) {
    const std::int32_t now = epoch(wall_now());
    const std::int32_t start = process.last_spawn ? epoch(*process.last_spawn) : 0;
    const std::int32_t stop = process.last_exit != nullptr ? epoch(process.last_exit->at) : 0;
    const SupervisordState& state = state_of(process.state);
    const bool keeps_status = state.code == 0 || state.code == 100;
    std::int32_t status = 0;
    if (keeps_status && process.last_exit != nullptr)
        status = process.last_exit->by_signal ? -1 : process.last_exit->number;
    const std::string spawn_error = spawn_text(process);
    return Struct{{"name", process.id},
                  {"group", group_of(process)},
                  {"start", start},
                  {"stop", stop},
                  {"now", now},
                  {"state", state.code},
                  {"statename", state.name},
                  {"spawnerr", spawn_error},
                  {"exitstatus", status},
                  {"logfile", process.stdout_path},
                  {"stdout_logfile", process.stdout_path},
                  {"stderr_logfile", process.stderr_path},
                  {"pid", process.pid.value_or(0)},
                  {"description", description(process, spawn_error, start, stop, now)}};
}

NameSpec name_spec(const std::string& name) {
    const auto colon = name.find(':');
    if (colon == std::string::npos) return {name, name};
    const std::string process = name.substr(colon + 1);
    return {name.substr(0, colon), process == "*" ? "" : process};
}

std::vector<Known> all_known(const Backend& backend) {
    std::vector<Known> known;
    backend.each_process([&](const ProcessView& process) {
        known.push_back(
            {std::string(process.id), std::string(group_of(process)), &state_of(process.state)});
    });
    return known;
}

std::optional<Known> find(const Backend& backend, const std::string& name) {
    const NameSpec spec = name_spec(name);
    std::optional<Known> found;
    backend.each_process([&](const ProcessView& process) {
        if (group_of(process) == spec.group && process.id == spec.process)
            found = Known{std::string(process.id), std::string(group_of(process)),
                          &state_of(process.state)};
    });
    return found;
}

bool is_group(const Backend& backend, const std::string& group) {
    bool is = false;
    backend.each_process(
        [&](const ProcessView& process) { is = is || group_of(process) == group; });
    return is;
}

}  // namespace muster::control
