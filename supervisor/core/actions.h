#pragma once
// Every order that the core gives, and the story that it tells. Orders are carried out as they
// come; transitions are told (log, waits, counters) when the queue is empty, so that a restart
// never waits for its own log line.

#include <cstdint>
#include <variant>
#include <vector>

#include "base/id.h"
#include "base/time.h"
#include "core/events.h"

namespace muster::core {

// supervisord's states, by name and code.
enum class State : std::uint8_t {
    stopped = 0,
    starting = 10,
    running = 20,
    backoff = 30,
    stopping = 40,
    exited = 100,
    fatal = 200,
};

enum class Cause : std::uint8_t {
    asked,       // by an operator, the start-up or the shutdown
    pause_over,  // the back-off's pause
    became_ready,
    exited_expected,  // an expected exit code
    exited_early,     // before it was ready
    crashed,          // after it was ready
    spawn_failed,
    claim_refused,
    start_timed_out,
    unhealthy,
    gave_up,  // start_limit
    rolled,   // replaced by a rolling restart
    too_old,  // max_age
    too_big,  // memory
};

struct ClaimName {
    ProcessId process;
    Incarnation who;
};
struct Spawn {
    ProcessId process;
    Incarnation who;
};
struct SendSignal {
    ProcessId process;
    Incarnation who;
    SignalNumber signal;
};
struct EndFamily {
    ProcessId process;
    Incarnation who;
};
struct ReleaseName {
    ProcessId process;
    Incarnation who;
};
struct Forget {  // nothing of it is left, and nothing will come: the process is no longer there
    ProcessId process;
};
struct Finish {  // nothing is left to do: end with this status
    int status;
};
using Order = std::variant<ClaimName, Spawn, SendSignal, EndFamily, ReleaseName, Forget, Finish>;

struct Transition {
    ProcessId process;
    Incarnation who;
    State from;
    State to;
    Cause cause;
    Exit exit;       // of the causes that tell of an exit
    Duration pause;  // of BACKOFF
};

using RollId = Id<struct RollTag, std::uint32_t>;

enum class Rolled : std::uint8_t {
    replaced,     // a new life is ready
    is_down,      // nothing was running: it starts anew when it is started
    was_stopped,  // by a later request
    taken_over,   // by a later rolling restart
    is_bad,       // the new life did not become ready: the rolling restart ends here
    blocked,      // another of its program is down for good: it goes on running as it was
    not_reached,  // the rolling restart has ended before
};

struct RollNews {  // one for each process of a rolling restart
    RollId roll;
    ProcessId process;
    Rolled how;
    bool is_last;
};

struct Actions {
    std::vector<Order> orders;
    std::vector<Transition> transitions;
    std::vector<RollNews> rolls;
};

const char* state_name(State state);  // "RUNNING"
const char* cause_text(Cause cause);  // "crashed"

}  // namespace muster::core
