#pragma once
// Event listeners: programs whose processes are told of events on their stdin, and answer on their
// stdout. What waits for them is bounded (`listener.buffer` events a program, one event on its way
// to a process): one that never reads or never answers costs that, and nothing else.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/id.h"
#include "base/log.h"
#include "base/unique_fd.h"
#include "config/config.h"
#include "control/listener.h"
#include "loop/fd_watch.h"
#include "loop/loop.h"
#include "loop/timer.h"

namespace muster::daemon {

// Our ends of a listener's pipes.
struct ListenerPipes {
    UniqueFd to_stdin;  // non-blocking, both
    UniqueFd from_stdout;
};

class Listeners {
public:
    // References outlive this.
    Listeners(loop::Loop& loop, Log& log) : loop_(loop), log_(log) {}
    Listeners(const Listeners&) = delete;
    Listeners& operator=(const Listeners&) = delete;
    ~Listeners() = default;

    void call_server(std::string_view name);  // what events say that they come from
    // The program listens from here on, or (null) no more.
    void want(ProgramId program, const std::string& name, const config::Listener* listener);
    [[nodiscard]] bool wants(core::Notice what) const { return wanted_.contains(what); }
    [[nodiscard]] bool is_silent() const { return wanted_.is_empty(); }  // nobody listens
    void tell(core::Notice what, const std::string& payload);  // free where nobody wants it

    void spawned(ProgramId program, ProcessId process, std::string id, ListenerPipes pipes);
    void running(ProcessId process, bool is_running);
    // It has died: what it had in hand is told to another, or to its next life.
    void ended(ProcessId process);

private:
    struct Pool {
        control::ListenerPool events;
        TimePoint rests_until{};    // after a rejection
        std::uint64_t dropped = 0;  // since it was last said
    };
    struct Life {
        Life(ProgramId of, std::string called, ListenerPipes ends)
            : program(of), id(std::move(called)), pipes(std::move(ends)) {}
        ProgramId program;
        std::string id;
        ListenerPipes pipes;
        control::ListenerTalk talk;
        std::optional<control::ListenerEvent> in_hand;
        std::string outgoing;
        std::size_t written = 0;
        bool is_running = false;
        std::optional<loop::FdWatch> out_watch;
        std::optional<loop::FdWatch> in_watch;
    };

    void count_wanted();
    void arm_tick();
    void tick();
    void rested();
    void dispatch(ProgramId program);
    void send(Life& life, Pool& pool);
    void write(Life& life);
    void read(ProcessId process);
    void heard(Life& life, control::ListenerTalk::News news);
    void return_event(Life& life);
    void dropped(Pool& pool, const std::optional<control::ListenerEvent>& event);
    void tell_dropped(Pool& pool);

    loop::Loop& loop_;
    Log& log_;
    std::string server_ = "muster";
    std::map<ProgramId, Pool> pools_;
    std::map<ProcessId, Life> lives_;
    core::NoticeSet wanted_;  // by any pool
    std::uint64_t next_serial_ = 0;
    std::int64_t last_tick_ = 0;  // seconds
    loop::Timer tick_timer_{loop_, [this] { tick(); }};
    loop::Timer rest_timer_{loop_, [this] { rested(); }};
};

}  // namespace muster::daemon
