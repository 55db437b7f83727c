#include "loop/fd_watch.h"

#include <cstdlib>

namespace muster::loop {

FdWatch::FdWatch(Loop& loop, int fd, std::function<void(bool, bool)> callback)
    : Handle(std::move(callback)) {
    // Fails only for what cannot be polled (a regular file) or is not open: a bug of the caller.
    if (uv_poll_init(loop.raw(), raw(), fd) != 0) std::abort();
    opened();
}

void FdWatch::watch(bool read, bool write) {
    const int events = (read ? UV_READABLE : 0) | (write ? UV_WRITABLE : 0);
    if (events == 0) {
        if (is_active()) uv_poll_stop(raw());
        return;
    }
    if (is_active() && events == events_) return;
    events_ = events;
    uv_poll_start(raw(), events, on_poll);
}

void FdWatch::on_poll(uv_poll_t* raw, int status, int events) noexcept {
    if (status < 0) {  // libuv has stopped the watch; a read or write will tell the error
        fire(raw, true, true);
        return;
    }
    fire(raw, (events & UV_READABLE) != 0, (events & UV_WRITABLE) != 0);
}

}  // namespace muster::loop
