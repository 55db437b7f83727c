#pragma once
// Turns the core's orders about children into deeds, and what comes of them at once into events.

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "child/family.h"
#include "child/reaper.h"
#include "child/spawn.h"
#include "config/config.h"
#include "config/expand.h"
#include "core/events.h"
#include "core/fleet.h"
#include "daemon/listeners.h"
#include "daemon/oom_evidence.h"
#include "daemon/process_parts.h"
#include "daemon/programs.h"
#include "logs/capture.h"
#include "logs/log_files.h"
#include "logs/output_writer.h"
#include "logs/tails.h"
#include "loop/loop.h"
#include "loop/timer.h"
#include "registry/registry.h"

namespace muster::daemon {

struct Surroundings {
    std::string host;
    std::string instance;
    std::string service;
    std::string control_path;  // "" = none
    bool child_gets_stdin = false;
};

struct Tools {  // made first thing in main, while low descriptors are free
    child::Spawner spawner;
    child::Reaper reaper;
};

struct PreparedProgram {                        // made once
    std::unique_ptr<child::Identity> identity;  // null: ours
    std::map<std::string, std::string> from_file;
};
// Users, groups and the environment file: waits for the disk and the name service. What cannot be
// had is told with the program's name.
Result<PreparedProgram> prepare_program(const std::string& name,
                                        const config::ProgramSettings& settings);

class Executor {
public:
    using Post = std::function<void(core::Event)>;
    // All references outlive the executor.
    Executor(loop::Loop& loop,
             Log& log,
             logs::OutputWriter& output,
             logs::Format format,
             const Programs& programs,
             const std::vector<config::Group>& groups,
             const core::Fleet& fleet,
             Parts& parts,
             Tools tools,
             Post post);
    Executor(const Executor&) = delete;
    Executor& operator=(const Executor&) = delete;
    ~Executor() = default;

    // Before the first child.
    Outcome prepare(Surroundings surroundings);
    // Of a program that a reload has brought or changed: for its next lives.
    void adopt(ProgramId program, PreparedProgram prepared);
    // As whom it runs; nothing where that is us.
    [[nodiscard]] std::optional<std::uint32_t> uid_of(ProgramId program) const;

    // The name of a process's next life; {pid} stands in it as child::pid_marker until the spawn.
    [[nodiscard]] std::string new_name(ProcessId process);
    // What a home-made worker's last life keeps in Redis; nothing for other job systems.
    [[nodiscard]] std::optional<registry::CustomEntry> custom_entry(ProcessId process) const;
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
    Outcome plan_listener(ProcessId process, child::ChildSpec& spec, Streams& streams);

    [[nodiscard]] child::ChildSpec spec_of(ProcessId process, Incarnation who) const;
    [[nodiscard]] std::vector<std::string> not_overridden(
        const PreparedProgram& prepared, const config::ProgramSettings& settings) const;
    [[nodiscard]] std::vector<std::string> marks(ProcessId process, Incarnation who) const;
    [[nodiscard]] config::Placeholders placeholders(ProcessId process) const;
    Result<child::OutputTarget> target_of(const config::Output& output,
                                          ProcessId process,
                                          bool is_stderr,
                                          Streams& streams);
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
    [[nodiscard]] const RunSettings& settings_of(ProcessId process) const;
    [[nodiscard]] const RunSettings& life_of(ProcessId process) const;

    loop::Loop& loop_;
    Log& log_;
    const Programs& programs_;
    const std::vector<config::Group>& groups_;
    const core::Fleet& fleet_;
    Parts& parts_;
    Post post_;
    Surroundings surroundings_;
    std::vector<std::string> environment_;  // ours, shared by all programs
    std::deque<PreparedProgram> prepared_;  // by program id
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
