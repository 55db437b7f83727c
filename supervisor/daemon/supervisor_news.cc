// What the world is told of the fleet: log lines, listeners, whoever waits, the status line.

#include <fmt/format.h>

#include <utility>

#include "daemon/supervisor.h"
#include "daemon/transition_log.h"

namespace muster::daemon {

// What is leaving hears nothing more. Groups are told that have come or gone since the last time.
void Supervisor::note_listeners() {
    const std::set<ProgramId> there(order_.begin(), order_.end());
    for (std::uint32_t p = 0; p < fleet_.program_count(); ++p) {
        const ProgramId id{p};
        const auto& listener = programs_.settings(ProgramId{p}).listener;
        const bool listens = listener && there.contains(id);
        listeners_.want(id, fleet_.program_name(id), listens ? &*listener : nullptr);
    }
    std::set<std::string> groups;
    for (const ProgramId id : order_) groups.insert(shown_group(id));
    const std::set<std::string> before = std::exchange(groups_, std::move(groups));
    for (const std::string& name : groups_) {
        if (!before.contains(name))
            listeners_.tell(core::Notice::process_group_added, "groupname:" + name + "\n");
    }
    for (const std::string& name : before) {
        if (!groups_.contains(name))
            listeners_.tell(core::Notice::process_group_removed, "groupname:" + name + "\n");
    }
}

// As supervisord sees it: its group's name, or its own.
const std::string& Supervisor::shown_group(ProgramId program) const {
    const std::string& group = group_of_[program.value()];
    return group.empty() ? fleet_.program_name(program) : group;
}

// One event, one line; then whoever waits for it.
void Supervisor::tell(const core::Transition& t) {
    if (t.to == core::State::running && registrar_ && registrar_->is_away() &&
        may_be_redis(t.process))
        registrar_->redis_may_be_back();
    ProcessParts& parts = parts_[t.process.value()];
    const std::string& program = fleet_.program_name(fleet_.program_of(t.process));
    tell_listeners(t);
    if (!settings_.is_plain || tells_of_trouble(t)) log_transition(log_, t, program, parts);
    metrics_.shown(program, t, parts);
    const control::Death* death = parts.deaths ? parts.deaths->shown(t) : nullptr;
    if (death != nullptr) metrics_.died(program, *death);
    waits_.shown(t);
    if (service_manager_) service_manager_->changed();
}

// Before the log takes the death.
void Supervisor::tell_listeners(const core::Transition& t) {
    listeners_.running(t.process, t.to == core::State::running);
    if (listeners_.is_silent()) return;
    const ProcessParts& parts = parts_[t.process.value()];
    const bool has_ended = t.from == core::State::running || t.from == core::State::starting ||
                           t.from == core::State::stopping;
    const bool is_up = t.to == core::State::running || t.to == core::State::stopping;
    std::int32_t pid = 0;
    if (!is_up && has_ended && parts.death)
        pid = parts.death->pid.value();
    else if (is_up && parts.leader)
        pid = parts.leader->value();
    const ProgramId program = fleet_.program_of(t.process);
    for (const control::Told& told :
         control::told_of({parts.id, shown_group(program), t.from, t.to, t.cause,
                           tells_of_an_exit(t.cause), pid, fleet_.machine(t.process).failures()}))
        listeners_.tell(told.what, told.payload);
}

void Supervisor::log_status() {
    each_process([this](const control::ProcessView& process) {
        log_.info("status", {{"program", std::string(process.program)},
                             {"process", std::string(process.id)},
                             {"pid", process.pid ? std::to_string(*process.pid) : ""},
                             {"name", std::string(process.name)},
                             {"state", std::string(process.state)},
                             {"uptime", process.uptime ? format_seconds(*process.uptime) : ""},
                             {"restarts", std::to_string(process.restarts)},
                             {"held", std::string(process.held)}});
    });
}

// Looks at each process, but once a second at most, and only where somebody wants to know.
std::string Supervisor::status_line() const {
    std::size_t all = 0;
    std::size_t running = 0;
    std::size_t fatal = 0;
    for (const ProgramId program : order_) {
        for (const ProcessId id : fleet_.processes_of(program)) {
            const core::State state = fleet_.machine(id).state();
            ++all;
            running += state == core::State::running ? 1 : 0;
            fatal += state == core::State::fatal ? 1 : 0;
        }
    }
    return fmt::format("{} of {} processes running{}{}{}", running, all,
                       fatal > 0 ? fmt::format(", {} FATAL", fatal) : "",
                       registrar_ && registrar_->is_away() ? ", Redis is away" : "",
                       stage_ == Stage::running ? "" : ", shutting down");
}

}  // namespace muster::daemon
