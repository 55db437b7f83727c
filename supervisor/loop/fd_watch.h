#pragma once

#include "loop/handle.h"
#include "loop/loop.h"

namespace muster::loop {

// Tells when a descriptor can be read or written. The descriptor is borrowed and must outlive the
// watch; its open file becomes non-blocking, also for others that share it. One watch for each
// descriptor. On an error of the descriptor both are true, and watch() must be called again.
class FdWatch : private Handle<uv_poll_t, bool, bool> {
public:
    FdWatch(Loop& loop, int fd, std::function<void(bool readable, bool writable)> callback);

    void watch(bool read, bool write);  // neither: costs nothing until the next call

private:
    static void on_poll(uv_poll_t* raw, int status, int events) noexcept;
    int events_ = 0;
};

}  // namespace muster::loop
