#include "loop/timer.h"

#include <algorithm>

namespace muster::loop {

Timer::Timer(Loop& loop, std::function<void()> callback) : Handle(std::move(callback)) {
    uv_timer_init(loop.raw(), raw());  // cannot fail
    opened();
}

void Timer::arm(TimePoint deadline) {
    if (is_active() && deadline == deadline_) return;
    deadline_ = deadline;
    // libuv counts whole milliseconds of its own, mostly stale, view of this same clock and fires
    // when that view reaches `view + timeout`. Taking the deadline itself, rounded up, as that sum
    // needs no look at the clock and is never early, however stale the view.
    using Milliseconds = std::chrono::milliseconds;
    const auto due = std::chrono::ceil<Milliseconds>(deadline.time_since_epoch()).count();
    const auto view = static_cast<Milliseconds::rep>(uv_now(raw()->loop));
    uv_timer_start(
        raw(), [](uv_timer_t* timer) { fire(timer); },
        static_cast<std::uint64_t>(std::max<Milliseconds::rep>(due - view, 0)), 0);
}

void Timer::disarm() {
    if (is_active()) uv_timer_stop(raw());
}

}  // namespace muster::loop
