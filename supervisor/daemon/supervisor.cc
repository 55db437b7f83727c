#include "daemon/supervisor.h"

#include <fmt/format.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <utility>

#include "base/text.h"
#include "child/pid1.h"
#include "config/expand.h"
#include "config/load.h"

namespace muster::daemon {

namespace {

using namespace std::chrono_literals;

constexpr Duration second_signal_hastens_after = 1s;  // spec, Signals to `muster run`
constexpr Duration startup_lasts = 500ms;

std::string hostname() {
    std::array<char, 256> buffer{};
    if (::gethostname(buffer.data(), buffer.size() - 1) != 0) return "localhost";
    return buffer.data();
}

Settings without_programs(const Settings& loaded) {
    const config::Config& config = loaded.config;
    return {.config = {config.supervisor, config.redis, {}, config.groups},
            .config_path = loaded.config_path,
            .control = loaded.control,
            .is_plain = loaded.is_plain};
}

// Program by program, so that no copy of all of them leaves holes in the heap that stays.
std::vector<core::ProgramPlan> take_programs(const config::Config& config, Programs& programs) {
    std::vector<core::ProgramPlan> plans;
    const std::vector<core::Priority> priorities = config::priorities_of(config);
    plans.reserve(config.programs.size());
    for (const config::Program& program : config.programs) {
        const ProgramId id{static_cast<std::uint32_t>(plans.size())};
        programs.put(id, program);
        plans.push_back({program.name, programs.policy(id), program.after,
                         program.processes.value_or(1), program.processes.has_value(),
                         priorities[id.value()]});
    }
    return plans;
}

}  // namespace

Supervisor::Supervisor(const Settings& loaded, Tools tools)
    : settings_(without_programs(loaded)),
      host_(hostname()),
      started_at_(wall_now()),
      output_(loop_, STDOUT_FILENO),
      log_(output_,
           settings_.config.supervisor.log_level,
           settings_.config.supervisor.log_format == config::LogFormat::json ? logs::Format::json
                                                                             : logs::Format::text,
           &events_,
           &own_lines_),
      fleet_(take_programs(loaded.config, programs_),
             settings_.config.redis ? settings_.config.redis->release_wait : Duration{}),
      lives_(programs_, settings_.config.groups, fleet_, parts_),
      executor_(loop_,
                log_,
                output_,
                settings_.config.supervisor.log_format == config::LogFormat::json
                    ? logs::Format::json
                    : logs::Format::text,
                lives_,
                fleet_,
                parts_,
                std::move(tools),
                [this](core::Event event) { post(event); }),
      waits_(loop_, fleet_, parts_),
      roll_waits_(loop_, log_, fleet_, parts_),
      memory_(loop_,
              {[this] { return limited(); },
               [this](const MemoryWatch::Watched& who,
                      std::uint64_t bytes,
                      MemoryWatch::Excess excess) { too_big(who, bytes, excess); }}),
      metrics_(loop_),
      listeners_(loop_, log_),
      deadline_timer_(loop_, [this] { deadline(); }),
      shutdown_timer_(loop_,
                      [this] {
                          if (stage_ == Stage::paying) return leave();
                          hasten();
                      }),
      gate_timer_(loop_, [this] { gate_is_late(); }),
      startup_timer_(loop_, [] { child::let_go_of_startup(); }),
      end_timer_(loop_, [this] { close(); }),
      signals_(loop_,
               {SIGCHLD, SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGTSTP, SIGCONT},
               [this](int number) { signalled(number); }) {
    if (settings_.config.supervisor.service.empty()) settings_.config.supervisor.service = host_;
    instance_ =
        fmt::format("{}-{}-{}", settings_.config.supervisor.service, host_, random_text(10));
    if (::getrandom(&dice_state_, sizeof dice_state_, 0) != sizeof dice_state_)
        dice_state_ = 0x9E3779B97F4A7C15ULL;
    dice_state_ |= 1;
    listeners_.call_server(settings_.config.supervisor.service);
    executor_.when_listener([this](ProcessId id, ListenerPipes pipes) {
        listeners_.spawned(fleet_.program_of(id), id, parts_[id.value()].id, std::move(pipes));
    });
    make_parts();
    for (std::uint32_t p = 0; p < fleet_.program_count(); ++p) order_.emplace_back(p);
    note_groups();
}

// For each process that has none yet.
void Supervisor::make_parts() {
    while (parts_.size() < fleet_.size()) {
        const ProcessId id{static_cast<std::uint32_t>(parts_.size())};
        const std::string& program = fleet_.program_name(fleet_.program_of(id));
        ProcessParts& parts = parts_.emplace_back();
        parts.index = fleet_.index_of(id);
        parts.id = fleet_.is_numbered(id) ? fmt::format("{}_{:02}", program, parts.index) : program;
    }
}

void Supervisor::note_groups() {
    for (const ProgramId program : order_) metrics_.know(fleet_.program_name(program));
    group_of_.assign(fleet_.program_count(), {});
    for (const config::Group& group : settings_.config.groups) {
        for (const std::string& name : group.programs) {
            if (const auto program = fleet_.program_called(name))
                group_of_[program->value()] = group.name;
        }
    }
    note_listeners();
    note_autoscale();
    memory_.want(std::any_of(order_.begin(), order_.end(), [this](ProgramId id) {
        return programs_.settings(id).memory.is_limited();
    }));
}

std::vector<MemoryWatch::Watched> Supervisor::limited() const {
    std::vector<MemoryWatch::Watched> watched;
    for (const ProgramId program : order_) {
        const config::Memory& limit = programs_.settings(program).memory;
        if (!limit.is_limited()) continue;
        for (const ProcessId id : fleet_.processes_of(program)) {
            const core::ProcessMachine& machine = fleet_.machine(id);
            const bool is_up =
                machine.state() == core::State::running || machine.state() == core::State::starting;
            const auto& child = parts_[id.value()].child;
            if (is_up && child) watched.push_back({id, machine.incarnation(), child->pid, limit});
        }
    }
    return watched;
}

// Soft: it is replaced when no other of its program is missing, and may finish its job. Hard: now.
void Supervisor::too_big(const MemoryWatch::Watched& who,
                         std::uint64_t bytes,
                         MemoryWatch::Excess excess) {
    const bool is_hard = excess == MemoryWatch::Excess::hard;
    log_.warn("too-big", {{"program", fleet_.program_name(fleet_.program_of(who.process))},
                          {"process", parts_[who.process.value()].id},
                          {"memory", std::to_string(bytes)},
                          {is_hard ? "hard" : "soft",
                           std::to_string(is_hard ? who.limit.hard : who.limit.soft)}});
    if (is_hard)
        post({who.process, core::RenewalWanted{who.who, core::Renewal::far_too_big}});
    else
        post({who.process, core::RecyclingWanted{who.who, core::Renewal::too_big}});
}

// It has left: nothing of it is shown, and its next life, if ever there is one, begins anew.
void Supervisor::forget(ProcessId id) {
    ProcessParts& parts = parts_[id.value()];
    if (registrar_) registrar_->forget(id);
    parts.made_of.reset();
    parts.last_exit.reset();
    parts.is_quiet = false;
}

Supervisor::~Supervisor() = default;

Outcome Supervisor::open() {
    if (auto opened = open_control(); !opened) return opened;
    if (auto ready =
            lives_.prepare({host_, instance_, settings_.config.supervisor.service,
                            socket_ ? socket_->path() : std::string{}, settings_.is_plain});
        !ready) {
        return ready;
    }
    executor_.prepare();
    if (!settings_.is_plain) {  // else it is the command's affair
        service_manager_ = std::make_unique<ServiceManager>(
            loop_, log_, config::process_environment(), [this] { return status_line(); });
    }
    return settings_.config.redis ? open_registry() : Done{};
}

int Supervisor::run() {
    if (!settings_.is_plain) {
        log_.info("supervising", {{"version", MUSTER_VERSION},
                                  {"instance", instance_},
                                  {"pid", std::to_string(::getpid())},
                                  {"processes", std::to_string(fleet_.size())},
                                  {"control", socket_ ? socket_->path() : "none"}});
    }
    if (registrar_) {
        fleet_.close_registry_gate();
        gate_timer_.arm(loop_.now() + settings_.config.redis->wait);
        registrar_->start();
        housekeeping_->start();
    }
    listeners_.tell(core::Notice::supervisor_state_change_running, "");
    fleet_.start_all(moment(), actions_);
    drain();
    // Once: the first turns (log lines, answers of Redis) are start-up as well.
    startup_timer_.arm(loop_.now() + startup_lasts);
    if (service_manager_ && stage_ == Stage::running) service_manager_->ready();
    loop_.run();
    return status_;
}

core::Moment Supervisor::moment() {
    dice_state_ ^= dice_state_ << 13;  // xorshift64: for jitter, nothing secret
    dice_state_ ^= dice_state_ >> 7;
    dice_state_ ^= dice_state_ << 17;
    const double dice = static_cast<double>(dice_state_ >> 11) / 9007199254740992.0;  // 2^53
    return {loop_.now(), dice, registrar_ && registrar_->is_blind()};
}

void Supervisor::post(core::Event event) {
    queue_.push_back(event);
    if (!is_draining_) drain();
}

// Orders first, then news, and the telling last: a replacement never waits for the log line of the
// death.
void Supervisor::drain() {
    if (is_draining_) return;
    is_draining_ = true;
    for (;;) {
        if (!actions_.orders.empty()) {
            const std::vector<core::Order> orders = std::exchange(actions_.orders, {});
            for (const core::Order& order : orders) carry_out(order);
        } else if (!queue_.empty()) {
            const core::Event event = queue_.front();
            queue_.pop_front();
            fleet_.handle(event, moment(), actions_);
        } else {
            break;
        }
    }
    is_draining_ = false;
    if (fleet_.is_shutting_down())
        enter_stopping("nothing is left to run, or what is essential is FATAL");
    const std::vector<core::Transition> transitions = std::exchange(actions_.transitions, {});
    const std::vector<core::RollNews> rolls = std::exchange(actions_.rolls, {});
    for (const core::Transition& transition : transitions) tell(transition);
    for (const core::RollNews& news : rolls) roll_waits_.told(news);
    if (finish_with_ && stage_ < Stage::paying) finish(*finish_with_);
    if (const auto next = fleet_.next_deadline())
        deadline_timer_.arm(*next);
    else
        deadline_timer_.disarm();
}

void Supervisor::deadline() {
    fleet_.fire_deadlines(moment(), actions_);
    drain();
}

void Supervisor::carry_out(const core::Order& order) {
    if (const auto* spawn = std::get_if<core::Spawn>(&order)) {
        executor_.spawn(spawn->process, spawn->who);
        watch(spawn->process, spawn->who);
    } else if (const auto* signal = std::get_if<core::SendSignal>(&order)) {
        // Gone already: its exit is on the way, and the step has nothing more to say.
        if (auto sent = executor_.send_stop(signal->process, signal->signal); !sent) {
            log_.debug("signal-not-sent", {{"process", parts_[signal->process.value()].id},
                                           {"reason", sent.error().message()}});
        }
    } else if (const auto* end = std::get_if<core::EndFamily>(&order)) {
        listeners_.ended(end->process);
        if (registrar_) child_has_ended(end->process);
        executor_.end_family(end->process, end->who);
    } else if (const auto* release = std::get_if<core::ReleaseName>(&order)) {
        release_name(release->process, release->who);
    } else if (const auto* claim = std::get_if<core::ClaimName>(&order)) {
        claim_name(claim->process, claim->who);
    } else if (const auto* left = std::get_if<core::Forget>(&order)) {
        forget(left->process);
    } else if (const auto* end_all = std::get_if<core::Finish>(&order)) {
        finish_with_ = end_all->status;  // once the last transition has been told
    }
}

// Of `run -- CMD`: what means nothing to us, without a file and an order of things, goes to the
// command; it would have heard it without us.
bool Supervisor::passed_on(int number) {
    switch (number) {
        case SIGHUP:
        case SIGUSR1:
        case SIGUSR2:
        case SIGTSTP:
        case SIGCONT:
            break;
        default:
            return false;
    }
    if (!settings_.is_plain) return false;
    if (parts_.front().child) static_cast<void>(executor_.send(ProcessId{0}, SignalNumber{number}));
    return true;
}

void Supervisor::signalled(int number) {
    if (passed_on(number)) return;
    switch (number) {
        case SIGCHLD:
            return executor_.reap();
        case SIGTERM:
        case SIGINT:
            if (stage_ == Stage::running)
                return begin_shutdown(false, number == SIGTERM ? "TERM" : "INT");
            if (std::exchange(restarts_, false)) {  // the first of them, and it is to be the end
                shutdown_began_ = loop_.now();
                log_.info("shutting-down",
                          {{"cause", signal_name(number)}, {"instead", "of beginning anew"}});
                return;
            }
            if (loop_.now() - shutdown_began_ > second_signal_hastens_after) {
                log_.warn("shutdown-hastened", {{"signal", signal_name(number)}});
                hasten();
            }
            return;
        case SIGQUIT:
            return begin_shutdown(true, "QUIT");
        case SIGUSR1:
            return log_status();
        case SIGUSR2:
            log_.info("log-files-reopened",
                      {{"count", std::to_string(executor_.log_files().count())}});
            return executor_.reopen_logs();
        case SIGHUP:
            return reload(false, false, [](const auto&) {});
        case SIGTSTP:
            return quiet_all(true);
        case SIGCONT:
            return quiet_all(false);
        default:
            log_.info("signal-ignored",
                      {{"signal", signal_name(number)}, {"hint", "not supported in this version"}});
    }
}

}  // namespace muster::daemon
