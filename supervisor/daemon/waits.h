#pragma once
// Requests that are answered when their outcome is there. Shown each transition; costs nothing
// while nobody waits.

#include <functional>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/id.h"
#include "base/time.h"
#include "control/api.h"
#include "core/fleet.h"
#include "daemon/process_parts.h"
#include "loop/loop.h"
#include "loop/timer.h"

namespace muster::daemon {

class Waits {
public:
    // The fleet and the parts outlive this.
    Waits(loop::Loop& loop, const core::Fleet& fleet, const Parts& parts)
        : loop_(loop), fleet_(fleet), parts_(parts), timer_(loop, [this] { expire(); }) {}

    // To be called before the verb is posted; `done` is called once, when each of the processes is
    // where it was wanted or cannot get there, or at the deadline with what is missing. `begun`:
    // the verb has been taken already, and whoever is starting starts for its sake.
    void add(control::Verb verb,
             const std::vector<ProcessId>& processes,
             Duration patience,
             control::VerbDone done,
             bool begun = false);

    void shown(const core::Transition& transition);
    void recheck();      // after a verb that changed nothing: what was wanted may be there already
    void give_up_all();  // the supervisor ends: everybody gets an answer

private:
    struct Wait {
        control::Verb verb;
        TimePoint deadline;
        std::vector<ProcessId> order;
        std::map<ProcessId, Incarnation>
            pending;  // with the incarnation that it had when the verb came
        std::map<ProcessId, control::VerbOutcome> outcomes;
        control::VerbDone done;
    };

    [[nodiscard]] std::optional<control::VerbOutcome> judge(control::Verb verb,
                                                            ProcessId id,
                                                            Incarnation before) const;
    void settle(Wait& wait, ProcessId id);
    void answer_complete();
    void expire();
    void arm();

    loop::Loop& loop_;
    const core::Fleet& fleet_;
    const Parts& parts_;
    std::list<Wait> waits_;
    loop::Timer timer_;
};

}  // namespace muster::daemon
