#pragma once
// What a worker does that its supervisor must be ready for.

#include "options.h"

namespace muster::worker_stub {

// At the start of its life: floods, grows, leaves an orphan.
void misbehave(const Options& options);

}  // namespace muster::worker_stub
