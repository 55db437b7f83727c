// The end: everybody is stopped, debts are paid, and the last words are written.

#include <cerrno>
#include <chrono>

#include "daemon/supervisor.h"

namespace muster::daemon {

namespace {

using namespace std::chrono_literals;

constexpr Duration quit_patience = 1s;
constexpr Duration debt_patience = 3s;    // of the shutdown, for deaths that are still to be told
constexpr Duration output_patience = 1s;  // for a reader of our stdout

}  // namespace

void Supervisor::begin_shutdown(bool is_fast, const char* why) {
    restarts_ = false;  // an end is an end
    enter_stopping(why);
    if (is_fast && stage_ == Stage::stopping) shutdown_timer_.arm(loop_.now() + quit_patience);
    fleet_.shut_down(0, moment(), actions_);
    drain();
}

void Supervisor::enter_stopping(const char* why) {
    if (stage_ != Stage::running) return;
    stage_ = Stage::stopping;
    shutdown_began_ = loop_.now();
    if (!settings_.is_plain) log_.info("shutting-down", {{"cause", why}});
    if (service_manager_) service_manager_->stopping();
    listeners_.tell(core::Notice::supervisor_state_change_stopping, "");
    shutdown_timer_.arm(loop_.now() + settings_.config.supervisor.shutdown_timeout);
}

void Supervisor::hasten() {
    executor_.hasten_families();
    fleet_.hasten(moment(), actions_);
    drain();
}

// Nothing of ours is alive. What is left: deaths that Redis has not confirmed, for a bounded time.
void Supervisor::finish(int status) {
    status_ = status;
    if (stage_ == Stage::over) return;
    stage_ = Stage::paying;
    if (!registrar_ || registrar_->debts() == 0) return leave();
    shutdown_timer_.arm(loop_.now() + debt_patience);
}

// Of `run -- CMD`: the command's own, whatever ended it; as a shell says it where it could not even
// be started.
int Supervisor::command_status() const {
    const ProcessParts& parts = parts_.front();
    if (parts.spawn_error) return *parts.spawn_error == ENOENT ? 127 : 126;
    if (!parts.last_exit) return status_;
    return parts.last_exit->by_signal ? 128 + parts.last_exit->number : parts.last_exit->number;
}

void Supervisor::leave() {
    if (stage_ == Stage::over) return;
    stage_ = Stage::over;
    if (registrar_ && registrar_->debts() > 0) {
        log_.error(
            "debts-left",
            {{"count", std::to_string(registrar_->debts())},
             {"reason", registrar_->trouble()},
             {"hint", "these registrations stay in Redis until the job system's own clean-up"}});
    }
    if (registrar_) registrar_->leave();
    waits_.give_up_all();
    roll_waits_.give_up_all();
    if (settings_.is_plain) status_ = command_status();
    executor_.end_everybody();
    if (!settings_.is_plain) log_.info("ended", {{"status", std::to_string(status_)}});
    // One more turn, so that answers are written; and what the children said last is still in their
    // pipes.
    if (executor_.is_quiet()) return end_timer_.arm(loop_.now());
    executor_.when_quiet([this] { end_timer_.arm(loop_.now()); });
    end_timer_.arm(loop_.now() + output_patience);
}

void Supervisor::close() {
    http_server_.reset();
    http_listener_.reset();
    server_.reset();
    socket_.reset();
    output_.finish(output_patience);
    loop_.stop();
}

}  // namespace muster::daemon
