#pragma once

#include <vector>

#include "base/unique_fd.h"
#include "loop/handle.h"
#include "loop/loop.h"

namespace muster::loop {

// A base of Signals, so that the descriptor outlives the handle that watches it.
struct SignalFd {
    UniqueFd signal_fd;
};

// Signals that are already blocked in every thread, told one after the other, each number at most
// once a wake, in ascending order.
class Signals : private SignalFd, private Handle<uv_poll_t, int> {
public:
    Signals(Loop& loop, const std::vector<int>& signals, std::function<void(int)> callback);

private:
    static void on_readable(uv_poll_t* raw, int status, int events) noexcept;
};

}  // namespace muster::loop
