#include "daemon/executor.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <utility>

#include "base/text.h"
#include "child/pid1.h"
#include "config/expand.h"
#include "daemon/env_file.h"
#include "daemon/service_manager.h"
#include "logs/child_output.h"
#include "logs/file_capture.h"

extern char** environ;  // NOLINT(readability-redundant-declaration): not declared by every libc

namespace muster::daemon {

namespace {

using namespace std::chrono_literals;

constexpr Duration wake_after = 1ms;  // by then most have ended, and need no CONT

std::uint64_t token_of(ProcessId process, Incarnation who) {
    return std::uint64_t{process.value()} << 32 | who.value();
}
ProcessId process_of(std::uint64_t token) {
    return ProcessId{static_cast<std::uint32_t>(token >> 32)};
}
Incarnation incarnation_of(std::uint64_t token) {
    return Incarnation{static_cast<std::uint32_t>(token)};
}

child::Ending ending_of(core::Orphans orphans) {
    switch (orphans) {
        case core::Orphans::kill:
            return child::Ending::kill;
        case core::Orphans::wait:
            return child::Ending::wait;
        case core::Orphans::leave:
            return child::Ending::leave;
    }
    return child::Ending::kill;
}

// The base without MUSTER_*: what our own supervisor told us is not for our children. Nor is where
// a service manager listens, unless the one child is all that it knows of.
std::vector<std::string> own_environment(bool has_service_manager) {
    std::vector<std::string> environment;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string_view pair(*entry);
        if (pair.starts_with("MUSTER_")) continue;
        if (has_service_manager && is_for_us(pair.substr(0, pair.find('=')))) continue;
        environment.emplace_back(pair);
    }
    return environment;
}

// What a registry's key cannot hold, or a log line would quote, is replaced.
std::string as_name(std::string text) {
    for (char& c : text) {
        if (c != child::pid_marker && (static_cast<unsigned char>(c) <= ' ' || c == 127)) c = '-';
    }
    return text;
}

std::string new_uuid() {  // version 4 (RFC 9562, 5.4), from the kernel's random source
    std::string hex;
    for (const char c : random_text(64)) {
        if (c >= 'a' && c <= 'f') hex += c;
        if (c >= '0' && c <= '9') hex += c;
    }
    if (hex.size() < 32) return new_uuid();
    hex[12] = '4';
    hex[16] = "89ab"[static_cast<unsigned char>(hex[16]) % 4];
    return fmt::format("{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4),
                       hex.substr(16, 4), hex.substr(20, 12));
}

// Who else writes into this file of the program's? (Another program may, too: LogFiles sees it when
// it comes.)
logs::LogFiles::Use use_of(const config::ProgramSettings& settings, const config::Output& output) {
    const auto has = [&](std::string_view word) {
        return config::has_placeholder(output.path, word);
    };
    const bool is_of_one = has("process") || has("index") || has("name");
    const bool is_of_both = settings.stdout_to.path == settings.stderr_to.path;
    return {.is_lasting = !has("name"),
            .is_shared = is_of_both || (settings.processes.value_or(1) > 1 && !is_of_one)};
}

core::Exit exit_of(const child::ExitStatus& how) {
    if (const auto* killed = std::get_if<child::Killed>(&how)) return {true, killed->signal};
    return {false, std::get<child::Exited>(how).code};
}

}  // namespace

Executor::Executor(loop::Loop& loop,
                   Log& log,
                   logs::OutputWriter& output,
                   logs::Format format,
                   const Programs& programs,
                   const std::vector<config::Group>& groups,
                   const core::Fleet& fleet,
                   Parts& parts,
                   Tools tools,
                   Post post)
    : loop_(loop),
      log_(log),
      programs_(programs),
      groups_(groups),
      fleet_(fleet),
      parts_(parts),
      post_(std::move(post)),
      spawner_(std::move(tools.spawner)),
      reaper_(std::move(tools.reaper)),
      capture_tools_{loop, log, output, tails_, format},
      log_files_(capture_tools_),
      family_timer_(loop, [this] { families_->pass(loop_.now()), arm_family_timer(); }),
      wake_timer_(loop, [this] { wake_stopped(); }) {}

Result<PreparedProgram> prepare_program(const std::string& name,
                                        const config::ProgramSettings& settings) {
    PreparedProgram prepared;
    if (!settings.user.empty() || !settings.group.empty()) {
        auto identity = child::resolve_identity(settings.user, settings.group);
        if (!identity) return identity.error().while_doing("program." + name);
        prepared.identity = std::make_unique<child::Identity>(std::move(*identity));
    }
    if (!settings.env_file.empty()) {
        auto values = read_env_file(settings.env_file);
        if (!values) return values.error().while_doing("program." + name);
        prepared.from_file = std::move(*values);
    }
    return prepared;
}

Outcome Executor::prepare(Surroundings surroundings) {
    surroundings_ = std::move(surroundings);
    environment_ = own_environment(!surroundings_.child_gets_stdin);
    families_ =
        std::make_unique<child::Families>(reaper_, "MUSTER_INSTANCE=" + surroundings_.instance,
                                          [this](std::uint64_t token, bool somebody_is_left) {
                                              family_ended(token, somebody_is_left);
                                          });
    for (std::uint32_t p = 0; p < programs_.count(); ++p) {
        const ProgramId id{p};
        auto prepared = prepare_program(fleet_.program_name(id), programs_.settings(id));
        if (!prepared) return prepared.error();
        prepared_.push_back(std::move(*prepared));
    }
    return Done{};
}

void Executor::adopt(ProgramId program, PreparedProgram prepared) {
    if (prepared_.size() <= program.value()) prepared_.resize(program.value() + 1);
    prepared_[program.value()] = std::move(prepared);
}

std::optional<std::uint32_t> Executor::uid_of(ProgramId program) const {
    const auto& identity = prepared_[program.value()].identity;
    return identity ? std::optional<std::uint32_t>(identity->uid) : std::nullopt;
}

// What its current or last life was made of.
const RunSettings& Executor::life_of(ProcessId process) const {
    const auto& made_of = parts_[process.value()].made_of;
    return made_of ? *made_of : settings_of(process);
}

const RunSettings& Executor::settings_of(ProcessId process) const {
    return programs_.settings(fleet_.program_of(process));
}

config::Placeholders Executor::placeholders(ProcessId process) const {
    const ProcessParts& parts = parts_[process.value()];
    config::Placeholders values;
    values.name = parts.name;
    values.program = fleet_.program_name(fleet_.program_of(process));
    values.process = parts.id;
    values.index = std::to_string(parts.index);
    values.host = surroundings_.host;
    values.service = surroundings_.service;
    values.instance = surroundings_.instance;
    values.pid = std::string(1, child::pid_marker);
    return values;
}

std::string Executor::new_name(ProcessId process) {
    config::Placeholders values = placeholders(process);
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    values.time = std::to_string(std::chrono::duration_cast<std::chrono::seconds>(now).count());
    values.rand = random_text(10);
    if (config::has_placeholder(settings_of(process).name_template, "uuid"))
        values.uuid = new_uuid();
    return as_name(config::fill(settings_of(process).name_template, values));
}

std::optional<registry::CustomEntry> Executor::custom_entry(ProcessId process) const {
    const auto& custom = life_of(process).custom;
    const auto& leader = parts_[process.value()].leader;
    if (!custom || !leader) return std::nullopt;
    config::Placeholders values = placeholders(process);
    values.pid = std::to_string(leader->value());
    registry::CustomEntry entry{.set = config::fill(custom->set, values),
                                .member = config::fill(custom->member, values),
                                .key = config::fill(custom->key, values),
                                .fields = {}};
    for (const auto& [field, value] : custom->fields)
        entry.fields.emplace_back(field, config::fill(value, values));
    return entry;
}

Outcome Executor::plan_output(ProcessId process, child::ChildSpec& spec, Streams& streams) {
    const config::ProgramSettings& settings = settings_of(process);
    if (settings.listener) {
        if (auto planned = plan_listener(process, spec, streams); !planned) return planned;
    } else {
        auto out = target_of(settings.stdout_to, process, false, streams);
        if (!out) return out.error();
        spec.stdout_to = *out;
    }
    if (settings.stderr_to.kind == config::OutputKind::as_stdout) {
        spec.stderr_to = spec.stdout_to;
        return Done{};
    }
    auto err = target_of(settings.stderr_to, process, true, streams);
    if (!err) return err.error();
    spec.stderr_to = *err;
    return Done{};
}

// Its stdin and stdout, and what supervisord's listeners find their server by.
Outcome Executor::plan_listener(ProcessId process, child::ChildSpec& spec, Streams& streams) {
    auto input = logs::make_input_pipe();
    if (!input) return input.error();
    auto output = logs::make_pipe();
    if (!output) return output.error();
    streams.listener = ListenerPipes{std::move(input->write), std::move(output->read)};
    streams.given.push_back(std::move(input->read));
    spec.stdin_from = streams.given.back().get();
    streams.given.push_back(std::move(output->write));
    spec.stdout_to = child::ToFd{streams.given.back().get()};

    const config::ProgramSettings& settings = settings_of(process);
    const std::string& program = fleet_.program_name(fleet_.program_of(process));
    std::string group = program;
    for (const config::Group& each : groups_) {
        if (std::find(each.programs.begin(), each.programs.end(), program) != each.programs.end())
            group = each.name;
    }
    const auto add = [&](const std::string& name, const std::string& value) {
        if (!settings.environment.contains(name)) spec.environment.push_back(name + "=" + value);
    };
    add("SUPERVISOR_ENABLED", "1");
    add("SUPERVISOR_PROCESS_NAME", parts_[process.value()].id);
    add("SUPERVISOR_GROUP_NAME", group);
    if (!surroundings_.control_path.empty())
        add("SUPERVISOR_SERVER_URL", "unix://" + surroundings_.control_path);
    return Done{};
}

Result<child::OutputTarget> Executor::target_of(const config::Output& output,
                                                ProcessId process,
                                                bool is_stderr,
                                                Streams& streams) {
    logs::LogFile* file = nullptr;
    std::unique_ptr<std::string>& log_file = parts_[process.value()].log_file[is_stderr ? 1 : 0];
    log_file.reset();
    switch (output.kind) {
        case config::OutputKind::inherit:
        case config::OutputKind::as_stdout:
            return child::OutputTarget{child::Inherit{}};
        case config::OutputKind::null:
            return child::OutputTarget{child::Null{}};
        case config::OutputKind::forward:
            break;
        case config::OutputKind::file: {
            const std::string path = config::fill(output.path, placeholders(process));
            if (path.find(child::pid_marker) != std::string::npos)
                return Error{
                    "a log path cannot hold a {name} that is made of {pid}: the file is opened "
                    "before the pid is known",
                    "write {process}, or a name without {pid}"};
            if (logs::is_special_file(path)) {
                auto special = logs::open_log_file(path);
                if (!special) return special.error();
                streams.given.push_back(std::move(*special));
                return child::OutputTarget{child::ToFd{streams.given.back().get()}};
            }
            const config::ProgramSettings& settings = settings_of(process);
            const config::LogRotate& rotate = settings.log_rotate;
            auto opened = log_files_.open(path, {rotate.size, rotate.keep, rotate.compress},
                                          use_of(settings, output));
            if (!opened) return opened.error();
            file = *opened;
            log_file = std::make_unique<std::string>(path);
            break;
        }
    }
    auto pipe = logs::make_pipe();
    if (!pipe) return pipe.error();
    streams.captured.push_back({std::move(pipe->read), is_stderr, file});
    streams.given.push_back(std::move(pipe->write));
    return child::OutputTarget{child::ToFd{streams.given.back().get()}};
}

std::vector<std::string> Executor::not_overridden(const PreparedProgram& prepared,
                                                  const config::ProgramSettings& settings) const {
    std::vector<std::string> kept;
    for (const std::string& entry : environment_) {
        const std::string key = entry.substr(0, entry.find('='));
        if (!prepared.from_file.contains(key) && !settings.environment.contains(key))
            kept.push_back(entry);
    }
    return kept;
}

child::ChildSpec Executor::spec_of(ProcessId process, Incarnation who) const {
    const ProgramId program = fleet_.program_of(process);
    const config::ProgramSettings& settings = programs_.settings(program);
    const std::vector<std::string>& command = programs_.command(program);
    const PreparedProgram& prepared = prepared_[program.value()];
    const ProcessParts& parts = parts_[process.value()];
    const config::Placeholders values = placeholders(process);
    child::ChildSpec spec;
    spec.argv.reserve(command.size());
    for (const std::string& word : command) spec.argv.push_back(config::fill(word, values));
    if (prepared.from_file.empty() && settings.environment.empty())
        spec.inherited = environment_;
    else
        spec.environment = not_overridden(prepared, settings);
    for (const auto& [key, value] : prepared.from_file) {
        if (!settings.environment.contains(key))
            spec.environment.push_back(fmt::format("{}={}", key, value));
    }
    for (const auto& [key, value] : settings.environment) {
        spec.environment.push_back(fmt::format("{}={}", key, config::fill(value, values)));
    }
    spec.environment.push_back("MUSTER_WORKER_NAME=" + parts.name);
    spec.environment.push_back("MUSTER_PROGRAM=" + fleet_.program_name(program));
    spec.environment.push_back("MUSTER_INDEX=" + std::to_string(parts.index));
    if (!surroundings_.control_path.empty())
        spec.environment.push_back("MUSTER_CONTROL=" + surroundings_.control_path);
    for (std::string& mark : marks(process, who)) spec.environment.push_back(std::move(mark));
    spec.directory = config::fill(settings.directory, values);
    if (prepared.identity) spec.identity = *prepared.identity;
    spec.umask = settings.umask;
    for (const config::Limit& limit : settings.limits)
        spec.limits.push_back({limit.resource, limit.soft, limit.hard});
    spec.nice = settings.nice;
    spec.oom_score_adj = settings.oom_score_adj;
    spec.gets_our_stdin = surroundings_.child_gets_stdin;
    return spec;
}

// By these a member of the family is known that has left the session.
std::vector<std::string> Executor::marks(ProcessId process, Incarnation who) const {
    return {"MUSTER_INSTANCE=" + surroundings_.instance,
            "MUSTER_PROCESS=" + parts_[process.value()].id,
            "MUSTER_INCARNATION=" + std::to_string(who.value())};
}

void Executor::spawn(ProcessId process, Incarnation who) {
    ProcessParts& parts = parts_[process.value()];
    parts.made_of.reset();
    parts.is_quiet = false;
    if (!fleet_.machine(process).policy().claims_name) parts.name = new_name(process);
    child::ChildSpec spec = spec_of(process, who);
    Streams streams;
    if (const auto planned = plan_output(process, spec, streams); !planned)
        return not_spawned(process, who, planned.error().while_doing("starting " + parts.id),
                           planned.error().is_scarcity());

    child::ChildPlan plan{spec};
    child::SpawnResult result = spawner_.spawn(plan);
    if (const auto* failure = std::get_if<child::SpawnFailure>(&result)) {
        parts.spawn_error = failure->error;
        return not_spawned(process, who, child::describe(*failure, parts.id),
                           failure->is_nobodys_fault);
    }
    parts.child = std::move(std::get<child::Child>(result));
    parts.leader = parts.child->pid;
    parts.name = child::with_pid(parts.name, parts.child->pid);
    parts.spawned_at = wall_now();
    parts.spawned_since = loop_.now();
    parts.trouble.clear();
    parts.spawn_error.reset();
    reaper_.watch(parts.child->pid, parts.child->pidfd.get(), token_of(process, who));
    if (streams.listener && when_listener_) when_listener_(process, std::move(*streams.listener));
    for (Captured& stream : streams.captured) capture(process, who, std::move(stream));
    post_({process, core::Spawned{who}});
}

void Executor::not_spawned(ProcessId process,
                           Incarnation who,
                           const Error& error,
                           bool is_nobodys_fault) {
    ProcessParts& parts = parts_[process.value()];
    parts.leader.reset();
    parts.trouble = error.message() + (error.hint().empty() ? "" : "; " + error.hint());
    post_({process, core::SpawnFailed{who, is_nobodys_fault}});
}

void Executor::capture(ProcessId process, Incarnation who, Captured stream) {
    captures_.emplace_back();
    const auto at = std::prev(captures_.end());
    const auto done = [this, at, process, who, is_stderr = stream.is_stderr] {
        Executor* const self = this;  // erasing the capture takes this closure with it
        self->output_ended(process, who, is_stderr);
        self->captures_.erase(at);
        if (self->captures_.empty() && self->when_quiet_) self->when_quiet_();
    };
    logs::CapturedStream captured{parts_[process.value()].id,
                                  {process.value(), stream.is_stderr},
                                  settings_of(process).overflow == config::Overflow::drop
                                      ? logs::WhenFull::drop
                                      : logs::WhenFull::wait};
    if (stream.file == nullptr)
        *at = std::make_unique<logs::Capture>(capture_tools_, std::move(captured),
                                              std::move(stream.pipe), done);
    else
        *at = std::make_unique<logs::FileCapture>(capture_tools_, *stream.file, std::move(captured),
                                                  std::move(stream.pipe), done);
}

Outcome Executor::send(ProcessId process, SignalNumber signal) {
    const ProcessParts& parts = parts_[process.value()];
    if (!parts.child) return Error{fmt::format("{} has no running child to signal", parts.id)};
    return child::send_signal(*parts.child, signal);
}

Outcome Executor::send_stop(ProcessId process, SignalNumber signal) {
    const ProcessParts& parts = parts_[process.value()];
    if (!parts.child) return Error{fmt::format("{} has no running child to stop", parts.id)};
    auto sent = child::send_signal(*parts.child, signal);
    if (sent && child::needs_cont(signal)) {
        to_wake_.push_back(token_of(process, fleet_.machine(process).incarnation()));
        if (!wake_timer_.is_armed()) wake_timer_.arm(loop_.now() + wake_after);
    }
    return sent;
}

// A CONT for each of a thousand children that are just ending is a tenth of their stop: only those
// get it that are still there a moment later.
void Executor::wake_stopped() {
    reap();  // the timer comes before the news of who has ended
    for (const std::uint64_t token : std::exchange(to_wake_, {})) {
        const ProcessId process = process_of(token);
        const ProcessParts& parts = parts_[process.value()];
        if (!parts.child || fleet_.machine(process).incarnation() != incarnation_of(token))
            continue;
        if (auto sent = child::send_signal(*parts.child, SignalNumber{SIGCONT}); !sent)
            log_.debug("signal-not-sent",
                       {{"process", parts.id}, {"reason", sent.error().message()}});
    }
}

void Executor::reap() {
    oom_.look_anew();
    reaper_.reap([this](std::uint64_t token, Pid, child::ExitStatus how,
                        const child::Usage& usage) { died(token, how, usage); },
                 [this](Pid pid, child::ExitStatus how) {
                     log_.debug("orphan-reaped", {{"pid", std::to_string(pid.value())},
                                                  {"status", child::describe(how)}});
                     families_->orphan_gone(pid, loop_.now());
                 });
    arm_family_timer();
}

// Whatever comes first, the end of a child or of its output: at the second, its last words are
// kept. Its replacement cannot have said anything yet: its spawn waits for the end of the family
// that holds the pipe.
void Executor::output_ended(ProcessId process, Incarnation who, bool is_stderr) {
    ProcessParts& parts = parts_[process.value()];
    parts.last_closed[is_stderr ? 1 : 0] = who;
    control::Death* death = parts.deaths ? parts.deaths->find(who) : nullptr;
    if (death != nullptr) keep_last_words(process, *death, is_stderr);
}

void Executor::keep_last_words(ProcessId process, control::Death& death, bool is_stderr) {
    (is_stderr ? death.last_stderr : death.last_stdout) =
        last_words(tails_.last({process.value(), is_stderr}, Deaths::most_lines));
}

// Everything that is known at once; the rest is added as it comes.
void Executor::certify(ProcessId process, Incarnation who, const child::Usage& usage) {
    ProcessParts& parts = parts_[process.value()];
    control::Death death;
    death.incarnation = who.value();
    death.pid = parts.death->pid.value();
    death.name = parts.death->name;
    death.at = parts.last_exit->at;
    death.since = loop_.now();
    death.uptime = parts.death->life;
    death.by_signal = parts.last_exit->by_signal;
    death.number = parts.last_exit->number;
    death.reason = parts.last_exit->reason;
    death.peak_memory = usage.peak_bytes;
    death.cpu = usage.cpu;
    oom_.weigh(death);
    if (!parts.deaths) parts.deaths = std::make_unique<Deaths>();
    control::Death& kept = parts.deaths->add(std::move(death));
    for (const bool is_stderr : {false, true}) {
        if (parts.last_closed[is_stderr ? 1 : 0] == who) keep_last_words(process, kept, is_stderr);
    }
}

void Executor::died(std::uint64_t token, const child::ExitStatus& how, const child::Usage& usage) {
    const ProcessId process = process_of(token);
    ProcessParts& parts = parts_[process.value()];
    parts.death = std::make_unique<ProcessParts::Death>(ProcessParts::Death{
        parts.child->pid, parts.registered_name(), loop_.now() - parts.spawned_since});
    parts.child.reset();
    parts.probe.reset();
    parts.ill.reset();
    const core::Exit exit = exit_of(how);
    if (!parts.last_exit) parts.last_exit = std::make_unique<control::LastExit>();
    parts.last_exit->by_signal = exit.by_signal;
    parts.last_exit->number = exit.number;
    parts.last_exit->at = wall_now();
    parts.last_exit->reason = child::describe(how);
    parts.trouble = parts.last_exit->reason;
    certify(process, incarnation_of(token), usage);
    post_({process, core::ChildExited{incarnation_of(token), exit}});
}

void Executor::end_family(ProcessId process, Incarnation who) {
    const ProcessParts& parts = parts_[process.value()];
    if (!parts.leader) return post_({process, core::FamilyEnded{who, false}});
    families_->end({token_of(process, who), *parts.leader, marks(process, who)},
                   ending_of(fleet_.machine(process).policy().orphans), loop_.now());
    arm_family_timer();
}

void Executor::hasten_families() {
    for (std::uint32_t i = 0; i < parts_.size(); ++i) {
        families_->hasten(token_of(ProcessId{i}, fleet_.machine(ProcessId{i}).incarnation()),
                          loop_.now());
    }
    arm_family_timer();
}

void Executor::family_ended(std::uint64_t token, bool somebody_is_left) {
    const ProcessId process = process_of(token);
    if (somebody_is_left) {
        log_.warn(
            "left-behind",
            {{"process", parts_[process.value()].id},
             {"hint",
              "orphans = \"leave\": its job and its registration are left to the job system"}});
    }
    post_({process, core::FamilyEnded{incarnation_of(token), somebody_is_left}});
}

void Executor::arm_family_timer() {
    if (const auto next = families_->next_deadline())
        family_timer_.arm(*next);
    else
        family_timer_.disarm();
}

void Executor::end_everybody() {
    reap();
    child::end_everybody();
}

}  // namespace muster::daemon
