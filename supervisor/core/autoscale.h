#pragma once
// How many processes a program should have, by what waits in its queues.
//
// The need: depth / jobs_per_process, rounded up; not less than are busy; between min and max.
//
//   depth    the need is …                      what happens
//   unknown  –                                  the size stays; the time of less need is forgotten
//   known    more than the size                 it grows to the need at once; forgotten
//   known    the size                           it stays; forgotten
//   known    less, not yet for down_after       it stays; the highest need of this time is kept
//   known    less, and was for all down_after   it shrinks to the highest need of that time; a new
//                                               time of less need has to begin
//
// A size that is not between min and max (a reload has changed them) is brought there, whatever is
// known. Who leaves is not decided here: idle ones first, daemon/ sees to it.

#include <cstdint>
#include <optional>

#include "base/time.h"

namespace muster::core {

struct AutoscaleRule {
    std::uint32_t min = 1;
    std::uint32_t max = 1;
    std::uint32_t jobs_per_process = 20;
    Duration down_after = std::chrono::minutes{5};
    friend bool operator==(const AutoscaleRule&, const AutoscaleRule&) = default;
};

struct Load {
    std::optional<std::uint64_t> depth;  // jobs that wait; nothing: nobody knows
    std::optional<std::uint32_t> busy;   // processes that have a job; nothing: nobody was asked
};

class Autoscale {
public:
    enum class Cause : std::uint8_t { unknown, needed, more_needed, less_needed, was_less_needed };
    struct Verdict {
        std::uint32_t size = 0;  // that it should have
        Cause cause = Cause::unknown;
        std::uint32_t need = 0;             // nothing of it with Cause::unknown
        std::optional<Duration> rest = {};  // of down_after, with Cause::less_needed
    };

    Verdict judge(const AutoscaleRule& rule, const Load& load, std::uint32_t size, TimePoint now);

    // Without the busy ones: where it is less than the size, one has to ask who is busy.
    static std::uint32_t need_of(const AutoscaleRule& rule, std::uint64_t depth);

private:
    struct LessNeed {
        TimePoint since;
        std::uint32_t highest = 0;
    };
    std::optional<LessNeed> less_;
};

// How often the queues of one with this rule are looked at, where others' are each `interval`:
// where little time is to pass until it shrinks, four times in it, but at most once a second.
Duration looked_at_each(Duration interval, const AutoscaleRule& rule);

}  // namespace muster::core
