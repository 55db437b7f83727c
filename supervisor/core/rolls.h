#pragma once
// Rolling restarts: one process at a time is stopped, started, ready, and only then comes the next;
// and no other of its program may be without a ready life meanwhile. What is down is left alone.
// The first new life that does not become ready ends it, and the others stay as they are. A later
// stop wins; a later rolling restart takes over what this one has not reached.

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <optional>
#include <vector>

#include "core/actions.h"
#include "core/events.h"

namespace muster::core {

class Fleet;

// All that are under way. It looks at the fleet, and changes nothing of it but by `renew`.
class Rolls {
public:
    using News = std::vector<RollNews>;
    using Renew = std::function<void(ProcessId process, Incarnation who, Renewal why)>;

    RollId begin(const std::vector<ProcessId>& processes,
                 Renewal why,
                 const Fleet& fleet,
                 News& news);
    // Of a single life that is to be replaced when no other of its program is missing.
    void recycle(ProcessId process, Incarnation who, Renewal why);

    [[nodiscard]] bool is_empty() const { return rolls_.empty(); }
    // As far as they go now: after each change of the fleet. `renew` may lead back to here.
    void advance(const Fleet& fleet, News& news, const Renew& renew);

private:
    struct Item {
        ProcessId process;
        Incarnation before;
    };
    struct Roll {
        RollId id;
        Renewal why;
        std::deque<Item> ahead;
        std::optional<Item> current;
    };

    void advance_each(const Fleet& fleet, News& news, const Renew& renew);
    static bool advance(Roll& roll, const Fleet& fleet, News& news, const Renew& renew);

    std::list<Roll> rolls_;
    std::uint32_t next_id_ = 1;
    bool is_advancing_ = false;
    bool wants_advance_ = false;
};

}  // namespace muster::core
