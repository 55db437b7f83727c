#pragma once
// Looks now and then at how much memory the processes of limited programs hold. Costs nothing while
// no program has a limit.

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "base/id.h"
#include "config/config.h"
#include "loop/lifeline.h"
#include "loop/loop.h"
#include "loop/timer.h"

namespace muster::daemon {

class MemoryWatch {
public:
    struct Watched {
        ProcessId process{0};
        Incarnation who{0};
        Pid leader{0};
        config::Memory limit;
    };
    enum class Excess : std::uint8_t { soft, hard };
    struct Events {
        std::function<std::vector<Watched>()> watched;  // who is up and has a limit
        // Once for each life and each limit.
        std::function<void(const Watched&, std::uint64_t bytes, Excess)> too_big;
    };

    MemoryWatch(loop::Loop& loop, Events events)
        : loop_(loop), events_(std::move(events)), timer_(loop, [this] { look(); }) {}
    MemoryWatch(const MemoryWatch&) = delete;
    MemoryWatch& operator=(const MemoryWatch&) = delete;
    ~MemoryWatch() = default;

    void want(bool is_wanted);  // whether any program has a limit

    // One look's figures, in the order of those who were watched.
    void judge(const std::vector<Watched>& watched, const std::vector<std::uint64_t>& bytes);

private:
    struct Seen {
        Incarnation who{0};
        std::uint32_t over_soft = 0;  // looks in a row
        bool told_soft = false;
        bool told_hard = false;
    };

    void look();
    void looked(const std::vector<Watched>& watched, const std::vector<std::uint64_t>& bytes);

    loop::Loop& loop_;
    Events events_;
    std::map<ProcessId, Seen> seen_;
    bool is_wanted_ = false;
    bool is_looking_ = false;
    loop::Timer timer_;
    loop::Lifeline lifeline_;
};

}  // namespace muster::daemon
