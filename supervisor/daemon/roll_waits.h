#pragma once
// Requests that are answered when a rolling restart is over.

#include <list>
#include <map>
#include <optional>
#include <vector>

#include "base/log.h"
#include "control/api.h"
#include "core/fleet.h"
#include "daemon/process_parts.h"
#include "loop/loop.h"
#include "loop/timer.h"

namespace muster::daemon {

class RollWaits {
public:
    // All outlive this.
    RollWaits(loop::Loop& loop, Log& log, const core::Fleet& fleet, const Parts& parts)
        : loop_(loop), log_(log), fleet_(fleet), parts_(parts), timer_(loop, [this] {
              expire();
          }) {}

    // To be called before the roll's first news is told. Answered once: when it is over, or after
    // `patience` with what is still to do; the roll goes on then.
    void add(core::RollId roll,
             const std::vector<ProcessId>& processes,
             Duration patience,
             control::VerbDone done);

    void told(const core::RollNews& news);
    void give_up_all();  // the supervisor ends

private:
    struct Wait {
        core::RollId roll;
        TimePoint deadline;
        std::vector<ProcessId> order;
        std::map<ProcessId, control::VerbOutcome> outcomes;
        control::VerbDone done;
    };

    [[nodiscard]] control::VerbOutcome outcome(const core::RollNews& news) const;
    void answer(std::list<Wait>::iterator wait);
    void expire();
    void arm();

    loop::Loop& loop_;
    Log& log_;
    const core::Fleet& fleet_;
    const Parts& parts_;
    std::list<Wait> waits_;
    loop::Timer timer_;
};

}  // namespace muster::daemon
