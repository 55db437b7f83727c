#pragma once

#include "loop/handle.h"
#include "loop/loop.h"

namespace muster::loop {

// Runs once at the end of the turn in which it was armed, before the loop sleeps; armed by its own
// callback, or by another Prepare's: in one more turn, without a sleep between. Unarmed it costs
// nothing.
class Prepare : private Handle<uv_idle_t> {
public:
    Prepare(Loop& loop, std::function<void()> callback);

    void arm();
};

}  // namespace muster::loop
