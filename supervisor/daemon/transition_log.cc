#include "daemon/transition_log.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "base/text.h"

namespace muster::daemon {

namespace {

std::string exit_text(const core::Exit& exit) {
    return exit.by_signal ? "signal:" + signal_name(exit.number)
                          : fmt::format("exit:{}", exit.number);
}

const char* verb_of(core::State to) {
    switch (to) {
        case core::State::stopped:
            return "stopped";
        case core::State::starting:
            return "starting";
        case core::State::running:
            return "started";
        case core::State::backoff:
            return "backed-off";
        case core::State::stopping:
            return "stopping";
        case core::State::exited:
            return "exited";
        case core::State::fatal:
            return "given-up";
    }
    return "?";
}

}  // namespace

bool tells_of_an_exit(core::Cause cause) {
    switch (cause) {
        case core::Cause::exited_expected:
        case core::Cause::exited_early:
        case core::Cause::crashed:
            return true;
        case core::Cause::asked:
        case core::Cause::pause_over:
        case core::Cause::became_ready:
        case core::Cause::spawn_failed:
        case core::Cause::claim_refused:
        case core::Cause::start_timed_out:
        case core::Cause::unhealthy:
        case core::Cause::gave_up:
        case core::Cause::rolled:
        case core::Cause::too_old:
        case core::Cause::too_big:
            return false;
    }
    return false;
}

bool tells_of_trouble(const core::Transition& t) {
    return t.to == core::State::fatal ||
           (t.to == core::State::backoff && t.cause != core::Cause::exited_expected);
}

void log_transition(Log& log,
                    const core::Transition& t,
                    const std::string& program,
                    ProcessParts& parts) {
    const bool is_trouble = tells_of_trouble(t);
    const LogLevel level = t.to == core::State::fatal ? LogLevel::error
                           : is_trouble               ? LogLevel::warn
                                                      : LogLevel::info;
    if (!log.shows(level)) return;
    const bool has_exited =
        tells_of_an_exit(t.cause) || (t.from == core::State::stopping && parts.death);
    const std::unique_ptr<ProcessParts::Death> death =
        has_exited ? std::move(parts.death) : nullptr;
    const bool is_up = t.to == core::State::running || t.to == core::State::stopping;
    std::string pid;
    std::string name;
    if (death) {
        pid = std::to_string(death->pid.value());
        name = death->name;
    } else if (is_up && parts.leader) {
        pid = std::to_string(parts.leader->value());
        name = parts.registered_name();
    }
    log.write(level, tells_of_an_exit(t.cause) ? "exited" : verb_of(t.to),
              {{"program", program},
               {"process", parts.id},
               {"pid", std::move(pid)},
               {"name", std::move(name)},
               {"status", has_exited ? exit_text(t.exit) : std::string{}},
               {"uptime", death ? format_seconds(death->life) : std::string{}},
               {"cause", cause_text(t.cause)},
               {"next", has_exited || is_trouble ? core::state_name(t.to) : std::string{}},
               {"pause", t.to == core::State::backoff ? format_seconds(t.pause) : std::string{}},
               {"reason", is_trouble && !has_exited ? parts.trouble : std::string{}}});
}

}  // namespace muster::daemon
