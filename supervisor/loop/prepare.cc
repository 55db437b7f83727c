#include "loop/prepare.h"

namespace muster::loop {

// An idle handle, not a prepare handle: libuv runs it at the same place, just before the poll, but
// does not sleep while one is active. A prepare handle that is started by another's callback would
// sleep through the poll first.
Prepare::Prepare(Loop& loop, std::function<void()> callback) : Handle(std::move(callback)) {
    uv_idle_init(loop.raw(), raw());  // cannot fail
    opened();
}

void Prepare::arm() {
    if (is_active()) return;
    uv_idle_start(raw(), [](uv_idle_t* idle) {
        uv_idle_stop(idle);
        fire(idle);
    });
}

}  // namespace muster::loop
