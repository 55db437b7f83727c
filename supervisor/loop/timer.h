#pragma once

#include "base/time.h"
#include "loop/handle.h"
#include "loop/loop.h"

namespace muster::loop {

// One deadline, one call. Never early; late by less than 2 ms on an idle loop. It is disarmed when
// the callback runs, which may arm it again.
class Timer : private Handle<uv_timer_t> {
public:
    Timer(Loop& loop, std::function<void()> callback);

    void arm(TimePoint deadline);  // a deadline in the past: in the next turn. Unchanged: free
    void disarm();
    [[nodiscard]] bool is_armed() const { return is_active(); }

private:
    TimePoint deadline_{};
};

}  // namespace muster::loop
