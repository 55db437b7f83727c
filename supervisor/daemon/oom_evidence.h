#pragma once
// Whether it was the kernel that killed a child for want of memory.

#include <cstdint>

#include "base/time.h"
#include "child/oom.h"
#include "control/api.h"

namespace muster::daemon {

// The kernel's counter goes up before its victim gets the signal, and a large one takes a while to
// end: a kill that no death has explained waits some seconds for one.
class OomEvidence {
public:
    // Before each look at the dead: the counter is read once for all of them.
    void look_anew() { is_current_ = false; }
    // Fills in what can be said of this death, by its signal and its time.
    void weigh(control::Death& death);

private:
    void count(const control::Death& death);

    child::OomCounter counter_ = child::OomCounter::of_this_process();
    WallTime looked_at_ = wall_now();  // when the last count was taken
    WallTime before_;                  // and the one before
    bool is_current_ = false;          // read in this look at the dead
    bool is_known_ = false;
    std::uint64_t kills_ = 0;  // that no death has explained yet
    TimePoint kills_since_;
};

}  // namespace muster::daemon
