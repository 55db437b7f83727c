#include "loop/turn_times.h"

#include <utility>

namespace muster::loop {

TurnTimes::AfterPoll::AfterPoll(Loop& loop, std::function<void()> callback)
    : Handle(std::move(callback)) {
    uv_check_init(loop.raw(), raw());  // cannot fail, nor can the start
    opened();
    uv_check_start(raw(), [](uv_check_t* check) { fire(check); });
    uv_unref(reinterpret_cast<uv_handle_t*>(raw()));
}

TurnTimes::BeforePoll::BeforePoll(Loop& loop, std::function<void()> callback)
    : Handle(std::move(callback)) {
    uv_prepare_init(loop.raw(), raw());
    opened();
    uv_prepare_start(raw(), [](uv_prepare_t* prepare) { fire(prepare); });
    uv_unref(reinterpret_cast<uv_handle_t*>(raw()));
}

// libuv runs most callbacks inside the poll, before its check handles. It takes its own time right
// after the wait: that is where a turn begins.
TurnTimes::TurnTimes(Loop& loop)
    : after_poll_(loop, [this, &loop] { began_ = uv_now(loop.raw()) * 1'000'000; }),
      before_poll_(loop, [this] {
          if (began_ == 0) return;
          const std::uint64_t now = uv_hrtime();
          histogram_.observe(Duration{now > began_ ? now - began_ : 0});
      }) {}

}  // namespace muster::loop
