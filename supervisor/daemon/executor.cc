#include "daemon/executor.h"

#include <fmt/format.h>

#include <chrono>
#include <csignal>
#include <utility>

#include "child/pid1.h"
#include "config/expand.h"
#include "logs/child_output.h"
#include "logs/file_capture.h"

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
                   const Lives& lives,
                   const core::Fleet& fleet,
                   Parts& parts,
                   Tools tools,
                   Post post)
    : loop_(loop),
      log_(log),
      lives_(lives),
      fleet_(fleet),
      parts_(parts),
      post_(std::move(post)),
      spawner_(std::move(tools.spawner)),
      reaper_(std::move(tools.reaper)),
      capture_tools_{loop, log, output, tails_, format},
      log_files_(capture_tools_),
      family_timer_(loop, [this] { families_->pass(loop_.now()), arm_family_timer(); }),
      wake_timer_(loop, [this] { wake_stopped(); }) {}

void Executor::prepare() {
    families_ = std::make_unique<child::Families>(
        reaper_, lives_.instance_mark(), [this](std::uint64_t token, bool somebody_is_left) {
            family_ended(token, somebody_is_left);
        });
}

Outcome Executor::plan_output(ProcessId process, child::ChildSpec& spec, Streams& streams) {
    const config::ProgramSettings& settings = lives_.settings_of(process);
    if (settings.listener) {
        if (auto planned = plan_listener(spec, streams); !planned) return planned;
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

Outcome Executor::plan_listener(child::ChildSpec& spec, Streams& streams) {
    auto input = logs::make_input_pipe();
    if (!input) return input.error();
    auto output = logs::make_pipe();
    if (!output) return output.error();
    streams.listener = ListenerPipes{std::move(input->write), std::move(output->read)};
    streams.given.push_back(std::move(input->read));
    spec.stdin_from = streams.given.back().get();
    streams.given.push_back(std::move(output->write));
    spec.stdout_to = child::ToFd{streams.given.back().get()};
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
            const std::string path = lives_.filled(process, output.path);
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
            const config::ProgramSettings& settings = lives_.settings_of(process);
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

void Executor::spawn(ProcessId process, Incarnation who) {
    ProcessParts& parts = parts_[process.value()];
    parts.made_of.reset();
    parts.is_quiet = false;
    if (!fleet_.machine(process).policy().claims_name) parts.name = lives_.new_name(process);
    child::ChildSpec spec = lives_.spec_of(process, who);
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
                                  lives_.settings_of(process).overflow == config::Overflow::drop
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
    families_->end({token_of(process, who), *parts.leader, lives_.marks(process, who)},
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
