#pragma once
// GET /metrics: Prometheus' text format 0.0.4. docs/metrics.md has each series, its type, labels
// and meaning; a test holds one against the other. Labels are bounded: programs, processes, so
// many queues and words of ours, never the names of workers.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/histogram.h"
#include "base/time.h"

namespace muster::control {

struct ProcessView;
struct SupervisorView;

struct ProgramCounts {
    std::map<std::string_view, std::uint64_t> restarts;  // by reason
    std::uint64_t exits = 0;
    std::uint64_t signals = 0;    // deaths by a signal, but for
    std::uint64_t oom_kills = 0;  // those that were likely the out-of-memory killer's
    std::uint64_t handed_back = 0;
};

struct UsageView {
    std::uint32_t processes = 0;
    std::uint64_t memory = 0;
    Duration cpu{0};
};

struct OwnUsage {
    std::uint64_t memory = 0;
    Duration cpu{0};
};

struct QueueDepth {
    std::string_view registry;  // "rq"
    std::string queue;
    std::uint64_t jobs = 0;  // that wait
};

struct QueuesView {
    std::vector<QueueDepth> depths;
    std::optional<Duration> age;  // of the look at them; nothing: they are not known
    std::size_t left_out = 0;     // queues that are too many
};

struct MetricsView {
    const SupervisorView& supervisor;
    const std::map<std::string, ProgramCounts, std::less<>>& programs;
    const std::unordered_map<std::int32_t, UsageView>& families;  // by the leader's pid
    const std::map<std::string_view, std::uint64_t>& releases;    // by verdict
    const Histogram& clean_times;
    const Histogram& turn_times;
    std::uint64_t dropped_lines = 0;
    std::uint64_t stale_removed = 0;
    QueuesView queues = {};
    OwnUsage own;
    std::function<void(const std::function<void(const ProcessView&)>&)> each_process;
};

std::string metrics_text(const MetricsView& view);

}  // namespace muster::control
