#include "loop/loop.h"

#include <pthread.h>

#include <cassert>
#include <csignal>
#include <cstdlib>

#include "loop/timer.h"

namespace muster::loop {

Loop::Loop() : loop_(std::make_unique<uv_loop_t>()) {
    sigset_t broken_pipe;
    sigemptyset(&broken_pipe);
    sigaddset(&broken_pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &broken_pipe, nullptr);
    if (uv_loop_init(loop_.get()) != 0) std::abort();  // no epoll: nothing can be done without
    loop_->data = this;
}

Loop::~Loop() {
    uv_walk(
        loop_.get(),
        [](uv_handle_t* handle, void*) {
            assert(uv_is_closing(handle) && "an owner outlives the loop");
            static_cast<void>(handle);
        },
        nullptr);
    let_closing_go();
    if (loop_->active_reqs.count > 0) {  // lookups and work, in libuv's threads
        Timer patience{*this, [] {}};
        patience.arm(now() + std::chrono::seconds(1));
        while (loop_->active_reqs.count > 0 && patience.is_armed())
            uv_run(loop_.get(), UV_RUN_ONCE);
    }
    let_closing_go();
    if (loop_->active_reqs.count > 0) {
        static_cast<void>(loop_.release());  // a thread will still write to it
        return;
    }
    [[maybe_unused]] const int status = uv_loop_close(loop_.get());
    assert(status == 0);
}

// A closed handle goes in one turn; with its callback may go what that owned, hence a few more.
void Loop::let_closing_go() {
    for (int turn = 0; turn < 16 && uv_run(loop_.get(), UV_RUN_NOWAIT) != 0; ++turn) {
    }
}

Loop& Loop::of(const uv_loop_t* raw) {
    return *static_cast<Loop*>(raw->data);
}

void Loop::run() {
    uv_run(loop_.get(), UV_RUN_DEFAULT);
}

void Loop::stop() {
    uv_stop(loop_.get());
}

std::span<char> Loop::read_buffer() {
    constexpr std::size_t size = std::size_t{64} * 1024;
    if (!read_buffer_) read_buffer_ = std::make_unique_for_overwrite<char[]>(size);
    return {read_buffer_.get(), size};
}

Error uv_error(std::string_view what, int status) {
    return Error{std::string(what) + ": " + uv_strerror(status)};
}

}  // namespace muster::loop
