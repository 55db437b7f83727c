#pragma once
// Turns the core's orders about children into deeds, and what comes of them at once into events.

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "child/family.h"
#include "child/reaper.h"
#include "child/spawn.h"
#include "config/config.h"
#include "core/events.h"
#include "core/fleet.h"
#include "daemon/listeners.h"
#include "daemon/lives.h"
#include "daemon/oom_evidence.h"
#include "daemon/process_parts.h"
#include "logs/capture.h"
#include "logs/log_files.h"
#include "logs/output_writer.h"
#include "logs/tails.h"
#include "loop/loop.h"
#include "loop/timer.h"

namespace muster::daemon {

struct Tools {  // made first thing in main, while low descriptors are free
    child::Spawner spawner;
    child::Reaper reaper;
};

class Executor {
public:
    using Post = std::function<void(core::Event)>;
    // All references outlive the executor.
    Executor(loop::Loop& loop,
             Log& log,
             logs::OutputWriter& output,
             logs::Format format,
             const Lives& lives,
             const core::Fleet& fleet,
             Parts& parts,
             Tools tools,
             Post post);
    Executor(const Executor&) = delete;
    Executor& operator=(const Executor&) = delete;
    ~Executor() = default;

    void prepare();  // before the first child, when the instance has its name
    void spawn(ProcessId process, Incarnation who);
    Outcome send(ProcessId process, SignalNumber signal);
    Outcome send_stop(ProcessId process,
                      SignalNumber signal);  // a CONT follows, so that a stopped one hears it
    void end_family(ProcessId process, Incarnation who);
    void hasten_families();  // no more patience with what dead workers left behind

    // On SIGCHLD: everybody who died, orphans too, in this turn (I2).
    void reap();
    // No output of a child is still to come.
    [[nodiscard]] bool is_quiet() const { return captures_.empty(); }
    void when_quiet(std::function<void()> call) { when_quiet_ = std::move(call); }
    // Of an event listener, right after its spawn: our ends of its stdin and stdout.
    using ListenerSpawned = std::function<void(ProcessId, ListenerPipes)>;
    void when_listener(ListenerSpawned call) { when_listener_ = std::move(call); }
    void reopen_logs() { log_files_.reopen_all(); }
    [[nodiscard]] logs::Tails& tails() { return tails_; }
    [[nodiscard]] logs::LogFiles& log_files() { return log_files_; }
    // When the loop is over. As PID 1: whoever is still there gets TERM, a moment, and KILL.
    void end_everybody();

private:
    struct Captured {
        UniqueFd pipe;  // our end
        bool is_stderr;
        logs::LogFile* file;  // null: forwarded
    };
    struct Streams {
        std::vector<UniqueFd> given;  // for the child
        std::vector<Captured> captured;
        std::optional<ListenerPipes> listener;
    };
    Result<child::OutputTarget> target_of(const config::Output& output,
                                          ProcessId process,
                                          bool is_stderr,
                                          Streams& streams);
    static Outcome plan_listener(child::ChildSpec& spec, Streams& streams);
    Outcome plan_output(ProcessId process, child::ChildSpec& spec, Streams& streams);
    void not_spawned(ProcessId process, Incarnation who, const Error& error, bool is_nobodys_fault);
    void capture(ProcessId process, Incarnation who, Captured stream);
    void output_ended(ProcessId process, Incarnation who, bool is_stderr);
    void died(std::uint64_t token, const child::ExitStatus& how, const child::Usage& usage);
    void certify(ProcessId process, Incarnation who, const child::Usage& usage);
    void keep_last_words(ProcessId process, control::Death& death, bool is_stderr);
    void family_ended(std::uint64_t token, bool somebody_is_left);
    void arm_family_timer();
    void wake_stopped();

    loop::Loop& loop_;
    Log& log_;
    const Lives& lives_;
    const core::Fleet& fleet_;
    Parts& parts_;
    Post post_;
    child::Spawner spawner_;
    child::Reaper reaper_;
    std::unique_ptr<child::Families> families_;  // made when the instance has its name
    logs::Tails tails_;
    logs::CaptureTools capture_tools_;
    logs::LogFiles log_files_;
    std::list<std::unique_ptr<logs::AnyCapture>> captures_;
    std::function<void()> when_quiet_;
    ListenerSpawned when_listener_;
    OomEvidence oom_;
    loop::Timer family_timer_;
    std::vector<std::uint64_t> to_wake_;  // tokens: got a stop signal, and not yet CONT
    loop::Timer wake_timer_;
};

}  // namespace muster::daemon
