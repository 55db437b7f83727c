#pragma once

#include <functional>

#include "loop/loop.h"

namespace muster::loop {

// For calls that may block: files, mostly. `in_pool` runs in one of libuv's four threads, which
// look up hosts, too; it owns or shares whatever it touches, because nobody can call it back.
// `done` comes afterwards on the loop's thread: guard it with a Lifeline.
void run_in_pool(Loop& loop, std::function<void()> in_pool, std::function<void()> done);

}  // namespace muster::loop
