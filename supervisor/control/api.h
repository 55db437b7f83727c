#pragma once
// The verbs, once, for every protocol. control/ knows verbs, not children: daemon/ hands in the
// functions.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "control/http_server.h"
#include "control/metrics.h"
#include "control/registry_api.h"

namespace muster::control {

struct LastExit {
    bool by_signal = false;
    int number = 0;  // exit code or signal
    WallTime at;
    std::string reason;
};

// What is known of one death, for `why`.
struct Death {
    enum class Oom : std::uint8_t { no, likely, unknown };
    struct Cleaned {
        std::string verdict;                   // "removed"
        std::vector<std::string> handed_back;  // ids of jobs
        std::string detail;
        Duration after{0};  // the death
    };
    std::uint32_t incarnation = 0;
    std::int32_t pid = 0;
    std::string name;  // as registered
    WallTime at;
    TimePoint since;  // the same, by the steady clock
    Duration uptime{0};
    bool by_signal = false;
    int number = 0;      // exit code or signal
    std::string reason;  // "signal:SEGV(core)"
    Oom oom = Oom::unknown;
    std::string oom_evidence;       // a sentence
    std::uint64_t peak_memory = 0;  // bytes, of its largest process
    Duration cpu{0};
    std::string_view cause;                  // "crashed"; "" = not told yet
    std::string_view next;                   // the state that it led to
    Duration pause{0};                       // of BACKOFF
    std::optional<std::string> last_stdout;  // nothing: not captured, or not closed yet
    std::optional<std::string> last_stderr;
    std::optional<Cleaned> cleaned;  // nothing: no registry, or not yet
};

struct ProcessView {
    std::string_view id;
    std::string_view program;
    std::string_view group = {};  // "" = null
    std::uint32_t index = 0;
    std::string_view state;  // "RUNNING"
    std::optional<std::int32_t> pid;
    std::string_view name;          // as registered; "" = null
    std::uint32_t incarnation = 0;  // 0 = null
    std::optional<WallTime> started_at;
    std::optional<Duration> uptime;
    std::uint64_t restarts = 0;
    std::uint32_t failures = 0;
    std::optional<Duration> next_try_in;
    std::optional<bool> ready;
    std::string_view health = "unknown";  // or "healthy", "unhealthy"
    std::optional<bool> quiet = {};       // takes no new jobs, for it was asked so
    std::string_view held;  // why it is not started though it is wanted; "" = not held
    const LastExit* last_exit = nullptr;
    bool ended_as_expected = true;            // of the last end
    std::optional<WallTime> last_spawn = {};  // of the last attempt that made a child
    std::optional<int> spawn_error = {};      // errno of the last attempt, where it made no child
    std::string_view command = {};            // its first word
    std::string_view stdout_path = {};        // "" = no file
    std::string_view stderr_path = {};
};

struct WhyView {
    const ProcessView& process;
    std::string_view trouble;          // why the last attempt failed; "" = it did not
    std::vector<const Death*> deaths;  // the last one first
    std::string size = {};             // why there are so many of its program; "" = as configured
};

// A program that scales itself.
struct ScaledView {
    std::string program;
    std::uint32_t processes = 0;  // that are to stay
    std::uint32_t min = 0;
    std::uint32_t max = 0;
    std::string why;  // a sentence
};

struct SupervisorView {
    std::string instance;
    std::string service;
    std::string host;
    std::int32_t pid = 0;
    WallTime started_at;
    std::string state;        // "running" | "shutting_down"
    std::string config_path;  // "" = none
    std::string redis_state;  // "none" | "connected" | "away"
    std::string redis_url;    // redacted
    std::string redis_error;  // why it is away
    std::uint64_t debts = 0;  // deaths still to be told
    std::vector<ScaledView> scaled = {};
};

struct VerbOutcome {
    std::string process;  // id
    bool ok = true;
    std::string state;    // where it ended: "RUNNING"
    std::string message;  // what happened, or why not
};

struct ApiError {
    int status = 500;  // HTTP
    std::string code;  // "no_such_process"
    std::string message;
    std::string hint;
};

struct LogQuery {
    std::string process;
    bool is_stderr = false;
    std::size_t lines = 100;
    bool follows = false;
};

struct EventQuery {
    std::size_t count = 100;             // of the last ones
    std::optional<std::uint64_t> after;  // only those with a greater number
    bool follows = false;
    bool is_sse = false;  // server-sent events, else JSON lines
};

// quiet: take no new jobs, where the job system can; resume: its undoing.
enum class Verb : std::uint8_t { start, stop, restart, roll, quiet, resume };

struct ProgramChange {
    std::string program;
    std::vector<std::string> live;        // keys that act at once
    std::vector<std::string> next_start;  // from each process's next start on
    std::vector<std::string> restart;     // for these its processes are replaced
    std::optional<std::pair<std::uint32_t, std::uint32_t>> processes;  // from, to
};

// What a reload changes, or would change.
struct Changes {
    bool is_dry_run = false;
    std::vector<std::string> added;  // programs
    std::vector<std::string> removed;
    std::vector<ProgramChange> changed;
    std::vector<std::string> live;           // keys of all, and groups, that act at once
    std::vector<std::string> needs_restart;  // keys that wait for a restart of muster itself
};

struct Reloaded {
    Changes changes;
    std::vector<VerbOutcome> processes;  // that it concerns; with wait: how each came out
};
using ReloadDone = std::function<void(std::variant<Reloaded, ApiError>)>;

// As supervisord sees it: a program without a [group] is a group of its own name.
struct ComparedGroups {
    std::vector<std::string> added;
    std::vector<std::string> changed;
    std::vector<std::string> removed;
};
using RereadDone = std::function<void(std::variant<ComparedGroups, ApiError>)>;

// `done` is called exactly once, at once or later, always on the loop's thread, never inside the
// call that failed to parse. With wait = false it is called with the states right after the verb
// was taken.
using VerbDone = std::function<void(std::vector<VerbOutcome>)>;

// What daemon/ provides. A selector that matches nothing is an ApiError with status 404.
struct Backend {
    // Each process once, in order; the views live until the call returns.
    std::function<void(const std::function<void(const ProcessView&)>&)> each_process;
    std::function<SupervisorView()> supervisor;
    std::function<std::optional<ApiError>(Verb, const std::string& selector, bool wait, VerbDone)>
        act;
    std::function<std::optional<ApiError>(const std::string& selector, int signal, VerbDone)>
        signal;
    // Reads the file again and does what it says, or only tells it. A file that `check` refuses
    // changes nothing. `done` comes later.
    std::function<void(bool dry_run, bool wait, ReloadDone)> reload = {};
    // So many processes from here on; idle ones go first.
    std::function<std::optional<ApiError>(
        const std::string& program, std::uint32_t processes, bool wait, VerbDone)>
        scale = {};
    // supervisord's reread, add and remove. reread keeps what it read, and changes nothing else;
    // add takes a group from what was read last (409: it is active; 404: it is not there); remove
    // wants all its processes down (409: they are not).
    std::function<void(RereadDone)> reread = {};
    std::function<std::optional<ApiError>(const std::string& group)> add_group = {};
    std::function<std::optional<ApiError>(const std::string& group)> remove_group = {};
    std::function<void()> shutdown;
    // Ids of the processes that are wanted and not ready, each with its reason; empty = ready.
    std::function<std::vector<std::string>()> not_ready;
    // The last lines of a stream; with `follows`, what comes next, as the response's rest. Answered
    // now or later, on the loop's thread.
    std::function<std::optional<ApiError>(const LogQuery&, HttpServer::Respond)> logs = {};
    RegistryBackend registry = {};
    // What is known of one process and its last deaths; the view lives until the call returns.
    std::function<std::optional<ApiError>(const std::string& id,
                                          const std::function<void(const WhyView&)>&)>
        why = {};
    // Told now or later, on the loop's thread; the view lives until the call returns.
    std::function<void(std::function<void(const MetricsView&)>)> metrics = {};
    // The last events; with `follows`, what comes next, as the response's rest.
    std::function<Response(const EventQuery&)> events = {};
};

}  // namespace muster::control
