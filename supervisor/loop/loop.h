#pragma once
// The one loop of the process. Owners of handles must be gone before it.

#include <uv.h>

#include <memory>
#include <span>
#include <string_view>

#include "base/result.h"
#include "base/time.h"

namespace muster::loop {

class Loop {
public:
    // Blocks SIGPIPE for this thread: a peer that is gone is an EPIPE, never a signal.
    Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;
    // Lets the closing handles go. A lookup or work under way is waited for up to a second,
    // then left behind; libuv would join its thread in exit(), so leave by _exit() then.
    ~Loop();

    void run();  // until stop(), or nothing is alive
    void stop();
    [[nodiscard]] TimePoint now() const { return std::chrono::steady_clock::now(); }
    [[nodiscard]] uv_loop_t* raw() { return loop_.get(); }
    [[nodiscard]] static Loop& of(const uv_loop_t* raw);

    // One buffer for every read of the loop: what is in it is used up before the callback returns.
    std::span<char> read_buffer();

private:
    void let_closing_go();

    std::unique_ptr<uv_loop_t> loop_;
    std::unique_ptr<char[]> read_buffer_;
};

// "connecting to x: connection refused", of libuv's negative status.
Error uv_error(std::string_view what, int status);

}  // namespace muster::loop
