#pragma once

#include "base/histogram.h"
#include "loop/handle.h"
#include "loop/loop.h"

namespace muster::loop {

// How long each turn of the loop worked between two polls: so long may an event have waited at most
// before it was looked at. Two clock readings a turn; it keeps no loop alive.
class TurnTimes {
public:
    explicit TurnTimes(Loop& loop);
    [[nodiscard]] const Histogram& histogram() const { return histogram_; }

private:
    struct AfterPoll : private Handle<uv_check_t> {
        AfterPoll(Loop& loop, std::function<void()> callback);
    };
    struct BeforePoll : private Handle<uv_prepare_t> {
        BeforePoll(Loop& loop, std::function<void()> callback);
    };

    Histogram histogram_;
    std::uint64_t began_ = 0;  // by libuv's clock; 0: in no turn yet
    AfterPoll after_poll_;
    BeforePoll before_poll_;
};

}  // namespace muster::loop
