#pragma once
// Reading a pipe at each line that a child writes costs a wake-up a line: 3 to 5 CPU seconds a GiB.
// After a short read its reader naps for a millisecond, in which more comes together: half a second
// a GiB. One timer serves all, and none runs while nobody writes.

#include <vector>

#include "loop/loop.h"
#include "loop/timer.h"

namespace muster::logs {

class Naps {
public:
    class Napper {
    public:
        Napper() = default;
        Napper(const Napper&) = delete;
        Napper& operator=(const Napper&) = delete;
        virtual void woke() = 0;

    protected:
        ~Napper() = default;
    };

    explicit Naps(loop::Loop& loop) : loop_(loop), timer_(loop, [this] { wake_all(); }) {}

    void nap(Napper& napper);     // woke() comes once
    void forget(Napper& napper);  // in woke(), too

private:
    void wake_all();

    loop::Loop& loop_;
    std::vector<Napper*> napping_;
    std::vector<Napper*> waking_;  // during wake_all; null = forgotten or woken
    loop::Timer timer_;
};

}  // namespace muster::logs
