#include "daemon/supervisor.h"

#include <fmt/format.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <utility>

#include "base/text.h"
#include "child/pid1.h"
#include "child/proc.h"
#include "config/expand.h"
#include "daemon/place.h"

namespace muster::daemon {

namespace {

using namespace std::chrono_literals;

constexpr Duration second_signal_hastens_after = 1s;  // spec, Signals to `muster run`
constexpr Duration quit_patience = 1s;
constexpr Duration startup_lasts = 500ms;
constexpr Duration debt_patience = 3s;  // of the shutdown, for deaths that are still to be told
constexpr Duration survivors_patience = 2s;  // beyond the stop steps of what an earlier life left
constexpr Duration output_patience = 1s;     // for a reader of our stdout

std::string hostname() {
    std::array<char, 256> buffer{};
    if (::gethostname(buffer.data(), buffer.size() - 1) != 0) return "localhost";
    return buffer.data();
}

WallTime wall_now() {
    return std::chrono::time_point_cast<std::chrono::microseconds>(
        std::chrono::system_clock::now());
}

std::optional<std::string> environment_variable(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
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
      executor_(loop_,
                log_,
                output_,
                settings_.config.supervisor.log_format == config::LogFormat::json
                    ? logs::Format::json
                    : logs::Format::text,
                programs_,
                settings_.config.groups,
                fleet_,
                parts_,
                std::move(tools),
                [this](core::Event event) { post(std::move(event)); }),
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
      end_timer_(loop_,
                 [this] {
                     http_server_.reset();
                     http_listener_.reset();
                     server_.reset();
                     socket_.reset();
                     output_.finish(output_patience);
                     loop_.stop();
                 }),
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
    memory_.want(std::any_of(order_.begin(), order_.end(), [this](ProgramId id) {
        return programs_.settings(id).memory.is_limited();
    }));
}

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

const RunSettings& Supervisor::settings_of(ProcessId id) const {
    return programs_.settings(fleet_.program_of(id));
}

const RunSettings& Supervisor::life_of(ProcessId id) const {
    const auto& made_of = parts_[id.value()].made_of;
    return made_of ? *made_of : settings_of(id);
}

Supervisor::~Supervisor() = default;

Outcome Supervisor::open() {
    if (auto opened = open_control(); !opened) return opened;
    if (auto ready =
            executor_.prepare({host_, instance_, settings_.config.supervisor.service,
                               socket_ ? socket_->path() : std::string{}, settings_.is_plain});
        !ready) {
        return ready;
    }
    if (!settings_.is_plain) {  // else it is the command's affair
        service_manager_ = std::make_unique<ServiceManager>(loop_, log_, environment_variable,
                                                            [this] { return status_line(); });
    }
    if (!settings_.config.redis) return Done{};
    auto url = redis::parse_url(settings_.config.redis->url);
    if (!url) return url.error().while_doing("redis.url");
    const char* dyno = std::getenv("DYNO");
    registry::SystemOptions system{
        host_, instance_, settings_.config.redis->prefix, {}, dyno == nullptr ? "" : dyno};
    system.is_of_family = [](Pid registered, const registry::Sought& sought) {
        return registered == sought.pid || ::getsid(registered.value()) == sought.pid.value();
    };
    registrar_ = std::make_unique<Registrar>(
        loop_, log_, std::move(*url), *settings_.config.redis,
        RegistrarOptions{std::move(system), facts(),
                         [this](const std::string& program) { return steps_of(program); }},
        RegistrarEvents{[this](const registry::Sought& s, const registry::Registration& r) {
                            registered(s, r);
                        },
                        [this](const registry::Release& release,
                               const registry::Released& outcome) { released(release, outcome); },
                        [this](bool is_away) { redis_changed(is_away); }, [this] { open_gate(); },
                        [this](ProcessId process, Incarnation who, const std::string& why) {
                            judged(process, who, why);
                        }});
    housekeeping_ = made_housekeeping();
    return Done{};
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

registry::InstanceFacts Supervisor::facts() const {
    registry::InstanceFacts us{.id = instance_,
                               .service = settings_.config.supervisor.service,
                               .host = host_,
                               .version = MUSTER_VERSION,
                               .started_at = started_at_,
                               .lease = settings_.config.redis->lease,
                               .place = read_place(environment_variable),
                               .programs = {}};
    for (std::uint32_t p = 0; p < fleet_.program_count(); ++p) {
        if (!fleet_.is_there(ProgramId{p})) continue;
        const config::RegistryKind kind = programs_.settings(ProgramId{p}).registry;
        us.programs.push_back({fleet_.program_name(ProgramId{p}),
                               std::string(core::traits(kind).word), fleet_.staying(ProgramId{p})});
    }
    return us;
}

// What an earlier life of a program leaves is ended as this life's would be.
LastSteps Supervisor::steps_of(const std::string& name) const {
    for (std::uint32_t p = 0; p < fleet_.program_count(); ++p) {
        if (fleet_.program_name(ProgramId{p}) != name) continue;
        const core::Policy& policy = *fleet_.plan(ProgramId{p}).policy;
        return {policy.stop, policy.orphans};
    }
    const auto usual = core::traits(core::RegistryKind::rq).stop;
    return {{usual.begin(), usual.end()}, core::Orphans::kill};
}

registry::RollEntry Supervisor::roll_entry(ProcessId id, Incarnation who) const {
    const ProcessParts& parts = parts_[id.value()];
    const config::ProgramSettings& program = settings_of(id);
    const auto stat = child::read_stat(parts.leader->value());
    registry::RollEntry entry;
    entry.given = parts.name;
    entry.name = parts.name;
    entry.kind = core::traits(program.registry).word;
    entry.process = parts.id;
    entry.program = fleet_.program_name(fleet_.program_of(id));
    entry.incarnation = who;
    entry.pid = parts.leader->value();
    entry.start_ticks = stat ? stat->start_time : 0;
    entry.host = host_;
    entry.spawned_at = parts.spawned_at;
    entry.jobs = program.jobs;
    entry.poison = program.poison;
    entry.custom = executor_.custom_entry(id);
    return entry;
}

core::Moment Supervisor::moment() {
    dice_state_ ^= dice_state_ << 13;  // xorshift64: for jitter, nothing secret
    dice_state_ ^= dice_state_ >> 7;
    dice_state_ ^= dice_state_ << 17;
    const double dice = static_cast<double>(dice_state_ >> 11) / 9007199254740992.0;  // 2^53
    return {loop_.now(), dice, registrar_ && registrar_->is_blind()};
}

void Supervisor::post(core::Event event) {
    queue_.push_back(std::move(event));
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
            const core::Event event = std::move(queue_.front());
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

// Right after a spawn: who will say that it is ready, and how will its registration be known?
void Supervisor::watch(ProcessId id, Incarnation who) {
    ProcessParts& parts = parts_[id.value()];
    if (!parts.child) return;
    const RunSettings& program = settings_of(id);
    if (const auto* tcp = std::get_if<config::ReadyTcp>(&program.ready)) {
        if (auto address = health::parse_address(tcp->address)) {
            parts.probe = std::make_unique<health::TcpProbe>(loop_, *address, [this, id, who] {
                parts_[id.value()].probe.reset();
                post({id, core::BecameReady{who}});
            });
        }
    }
    if (!registrar_ || program.registry == config::RegistryKind::none) return;
    registrar_->spawned(roll_entry(id, who));
    if (!core::traits(program.registry).can_be_seen) return;
    registrar_->seek({id, who, parts.name, parts.child->pid, parts.spawned_at,
                      program.may_choose_own_name, program.registry, executor_.custom_entry(id),
                      !fleet_.machine(id).policy().claims_name});
}

void Supervisor::registered(const registry::Sought& sought,
                            const registry::Registration& registration) {
    ProcessParts& parts = parts_[sought.process.value()];
    if (!parts.child || fleet_.machine(sought.process).incarnation() != sought.incarnation) return;
    parts.registration = std::make_unique<registry::Registration>(registration);
    const config::HealthRegistry& health = settings_of(sought.process).health_registry;
    registrar_->attend(sought, registration, {health.missing_after, health.heartbeat_timeout});
    log_.info("registered", {{"program", fleet_.program_name(fleet_.program_of(sought.process))},
                             {"process", parts.id},
                             {"pid", std::to_string(sought.pid.value())},
                             {"name", registration.name},
                             {"queues", joined(registration.queues, ",")},
                             {"version", registration.version}});
    const config::ProgramSettings& program = settings_of(sought.process);
    if (std::holds_alternative<config::ReadyRegistered>(program.ready)) {
        post({sought.process, core::BecameReady{sought.incarnation}});
    }
}

void Supervisor::judged(ProcessId id, Incarnation who, const std::string& why) {
    ProcessParts& parts = parts_[id.value()];
    if (!parts.child || fleet_.machine(id).incarnation() != who) return;
    const bool is_recovery = why.empty() && parts.ill && !parts.ill->empty();
    parts.ill = std::make_unique<std::string>(why);
    if (why.empty() && !is_recovery) return;
    log_.write(why.empty() ? LogLevel::info : LogLevel::warn,
               why.empty() ? "healthy-again" : "unhealthy",
               {{"program", fleet_.program_name(fleet_.program_of(id))},
                {"process", parts.id},
                {"pid", std::to_string(parts.child->pid.value())},
                {"name", parts.registered_name()},
                {"reason", why}});
    if (why.empty()) return;
    parts.trouble = why;
    post({id, core::Unhealthy{who}});
}

// Before its family is ended, or waited for.
void Supervisor::child_has_ended(ProcessId id) {
    const ProcessParts& parts = parts_[id.value()];
    registrar_->ended(id);
    if (parts.registration && fleet_.machine(id).policy().orphans == core::Orphans::wait) {
        const config::ProgramSettings& program = settings_of(id);
        registrar_->keep(id, program.registry, *parts.registration);
    }
}

void Supervisor::release_name(ProcessId id, Incarnation who) {
    ProcessParts& parts = parts_[id.value()];
    if (registrar_ && !parts.leader) registrar_->drop_claim(claim_of(id));  // it was never spawned
    if (!registrar_ || !parts.leader) return post({id, core::NameReleased{who}});
    const RunSettings& program = life_of(id);
    registrar_->forget(id);
    registrar_->keep_no_more(id);
    registry::Release release{.process = id,
                              .incarnation = who,
                              .name = parts.name,
                              .pid = *parts.leader,
                              .hostname = host_,
                              .spawned_at = parts.spawned_at,
                              .registration = std::nullopt,
                              .jobs = settings_of(id).jobs,
                              .may_choose_own_name = program.may_choose_own_name,
                              .kind = program.registry,
                              .custom = executor_.custom_entry(id)};
    release.death = fmt::format("{}/{}/{}", instance_, parts.id, who.value());
    release.is_name_unique = !fleet_.machine(id).policy().claims_name;
    if (parts.last_exit) release.reason = parts.last_exit->reason;
    // Nobody's job is to blame where it was stopped, or ended as it should.
    const core::ProcessMachine& machine = fleet_.machine(id);
    if (machine.state() != core::State::stopping && !machine.ended_as_expected())
        release.poison = settings_of(id).poison;
    if (parts.registration) release.registration = std::move(*parts.registration);
    parts.registration.reset();
    registrar_->release(std::move(release));
}

void Supervisor::released(const registry::Release& release, const registry::Released& outcome) {
    const ProcessParts& parts = parts_[release.process.value()];
    control::Death* death = parts.deaths ? parts.deaths->find(release.incarnation) : nullptr;
    metrics_.released(fleet_.program_name(fleet_.program_of(release.process)), outcome);
    if (death != nullptr) metrics_.cleaned(loop_.now() - death->since);
    if (death != nullptr)
        death->cleaned = control::Death::Cleaned{verdict_text(outcome.verdict), outcome.handed_back,
                                                 outcome.detail, loop_.now() - death->since};
    post({release.process, core::NameReleased{release.incarnation}});
    if (stage_ == Stage::paying && registrar_->debts() == 0) leave();
}

// Long enough for the worker to register itself under it.
registry::Claim Supervisor::claim_of(ProcessId id) const {
    return {id, parts_[id.value()].name, fleet_.machine(id).policy().start_timeout + 1min};
}

// An embedded one: whoever says by a port that it is ready. Others' restarts must not become our
// attempts to connect.
bool Supervisor::may_be_redis(ProcessId id) const {
    const RunSettings& program = settings_of(id);
    return std::holds_alternative<config::ReadyTcp>(program.ready);
}

void Supervisor::claim_name(ProcessId id, Incarnation who) {
    ProcessParts& parts = parts_[id.value()];
    parts.leader.reset();  // of the life before: this one has none yet
    parts.made_of.reset();
    parts.name = executor_.new_name(id);
    const RunSettings& program = settings_of(id);
    registrar_->claim(program.registry, claim_of(id), [this, id, who](const Outcome& outcome) {
        if (outcome) return post({id, core::NameClaimed{who}});
        ProcessParts& refused = parts_[id.value()];
        refused.trouble = outcome.error().message();
        log_.warn("name-not-claimed", {{"process", refused.id},
                                       {"reason", outcome.error().message()},
                                       {"hint", outcome.error().hint()}});
        post({id, core::ClaimRefused{who}});
    });
}

void Supervisor::redis_changed(bool is_away) {
    if (is_away) return;
    fleet_.redis_is_back(moment());
    drain();
}

// Redis, or the settlement of earlier lives, takes longer than we wait for it. Survivors have all
// the time that their stop steps give them.
void Supervisor::gate_is_late() {
    if (is_gate_late_ || !registrar_ || !registrar_->is_ending_survivors()) return open_gate();
    is_gate_late_ = true;
    Duration longest{};
    for (std::uint32_t p = 0; p < fleet_.program_count(); ++p) {
        Duration all{};
        for (const core::StopStep& step : fleet_.plan(ProgramId{p}).policy->stop) all += step.wait;
        longest = std::max(longest, all);
    }
    gate_timer_.arm(loop_.now() + longest + survivors_patience);
}

void Supervisor::open_gate() {
    gate_timer_.disarm();
    if (registrar_ && registrar_->is_away()) {
        log_.warn("starting-without-redis",
                  {{"waited", format_duration(settings_.config.redis->wait)}});
    }
    fleet_.open_registry_gate(moment(), actions_);
    drain();
}

// One event, one line; then whoever waits for it.
void Supervisor::tell(const core::Transition& t) {
    if (t.to == core::State::running && registrar_ && registrar_->is_away() &&
        may_be_redis(t.process))
        registrar_->redis_may_be_back();
    const bool is_trouble = t.to == core::State::fatal || (t.to == core::State::backoff &&
                                                           t.cause != core::Cause::exited_expected);
    tell_listeners(t);
    if (!settings_.is_plain || is_trouble) log_transition(t, is_trouble);
    ProcessParts& parts = parts_[t.process.value()];
    const std::string& program = fleet_.program_name(fleet_.program_of(t.process));
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

void Supervisor::log_transition(const core::Transition& t, bool is_trouble) {
    const LogLevel level = t.to == core::State::fatal ? LogLevel::error
                           : is_trouble               ? LogLevel::warn
                                                      : LogLevel::info;
    if (!log_.shows(level)) return;
    ProcessParts& parts = parts_[t.process.value()];
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
    log_.write(level, tells_of_an_exit(t.cause) ? "exited" : verb_of(t.to),
               {{"program", fleet_.program_name(fleet_.program_of(t.process))},
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

}  // namespace muster::daemon
