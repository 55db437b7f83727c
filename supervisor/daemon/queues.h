#pragma once
// The queues that our workers listen on, and how many jobs wait in them. Looked at only when
// somebody wants to know, all with one call, and never waited for long: a Redis that hangs costs a
// scrape a quarter of a second.

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/id.h"
#include "base/time.h"
#include "control/metrics.h"
#include "core/job_system.h"
#include "loop/lifeline.h"
#include "loop/loop.h"
#include "loop/timer.h"
#include "registry/depths.h"

namespace muster::daemon {

class Queues {
public:
    static constexpr std::size_t most_queues = 64;    // that are looked at
    static constexpr std::size_t most_known = 1000;   // that are remembered, of one program
    static constexpr std::size_t longest_name = 200;  // in bytes
    static constexpr Duration patience = std::chrono::milliseconds{250};

    using Read = std::function<void(const std::vector<registry::Queue>&, registry::DepthsRead)>;

    Queues(loop::Loop& loop, Read read);
    Queues(const Queues&) = delete;
    Queues& operator=(const Queues&) = delete;
    ~Queues() = default;

    // What a program is scaled by: looked at before all others. None: it is not.
    void want(ProgramId program, core::RegistryKind kind, const std::vector<std::string>& names);
    // What a worker of a program has registered itself for.
    void met(ProgramId program, core::RegistryKind kind, const std::vector<std::string>& names);
    void forget(ProgramId program) { met_.erase(program); }
    void redis_is_away();

    // Calls `then` once: at once where the last look is younger than `fresh_for`, else after a
    // look, or when that takes too long. One look at a time, for all who ask.
    void refresh(Duration fresh_for, std::function<void()> then);
    // Of all that this program is scaled by together; nothing where it is not known of each, or
    // was seen longer ago than `fresh_for`.
    [[nodiscard]] std::optional<std::uint64_t> depth_for(ProgramId program,
                                                         Duration fresh_for) const;
    [[nodiscard]] control::QueuesView view() const;

private:
    [[nodiscard]] std::vector<registry::Queue> all() const;  // without a limit, the wanted first
    void looked(const Result<registry::Depths>& depths);
    void call_waiting();

    loop::Loop& loop_;
    Read read_;
    std::map<ProgramId, std::set<registry::Queue>> wanted_;
    std::map<ProgramId, std::set<registry::Queue>> met_;
    registry::Depths depths_;
    TimePoint asked_at_{};              // the last look, whatever came of it
    std::optional<TimePoint> seen_at_;  // the depths; nothing: none are known
    bool is_looking_ = false;
    std::vector<std::function<void()>> waiting_;
    loop::Timer timer_;
    loop::Lifeline lifeline_;
};

}  // namespace muster::daemon
