#pragma once
// What is counted for /metrics, and the families' usage, sampled when somebody asks. An event costs
// one look-up by its program's name, and only deaths and restarts are such events.

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/histogram.h"
#include "control/api.h"
#include "control/metrics.h"
#include "core/actions.h"
#include "daemon/process_parts.h"
#include "loop/lifeline.h"
#include "loop/loop.h"
#include "loop/turn_times.h"
#include "registry/registry.h"

namespace muster::daemon {

class Metrics {
public:
    // A scrape within this time of a sample is answered with it.
    static constexpr Duration sample_age = std::chrono::seconds{5};

    explicit Metrics(loop::Loop& loop) : loop_(loop), turn_times_(loop) {}
    Metrics(const Metrics&) = delete;
    Metrics& operator=(const Metrics&) = delete;
    ~Metrics() = default;

    void know(const std::string& program) { programs_.try_emplace(program); }
    void shown(const std::string& program, const core::Transition& transition, ProcessParts& parts);
    void died(const std::string& program, const control::Death& death);
    void released(const std::string& program, const registry::Released& outcome);
    // From a death to the end of its release.
    void cleaned(Duration time) { clean_times_.observe(time); }

    // Calls `then` when the usage is fresh: at once, or after a look at /proc in the pool.
    void sample(const Parts& parts, std::function<void()> then);
    // Everything but what each_process tells.
    [[nodiscard]] control::MetricsView view(const control::SupervisorView& supervisor) const;

private:
    loop::Loop& loop_;
    loop::TurnTimes turn_times_;
    Histogram clean_times_;
    std::map<std::string, control::ProgramCounts, std::less<>> programs_;
    std::map<std::string_view, std::uint64_t> releases_;  // by verdict_text()
    std::unordered_map<std::int32_t, control::UsageView> families_;
    TimePoint sampled_at_{};
    std::vector<std::function<void()>> waiting_;
    loop::Lifeline lifeline_;
};

}  // namespace muster::daemon
