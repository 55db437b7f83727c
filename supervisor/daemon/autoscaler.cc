#include "daemon/autoscaler.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/time.h"

namespace muster::daemon {

namespace {

std::string text_of(const config::Autoscale& rule,
                    const core::Load& load,
                    const core::Autoscale::Verdict& verdict) {
    using Cause = core::Autoscale::Cause;
    const std::string bounds = fmt::format("{} to {}", rule.min, rule.max);
    if (verdict.cause == Cause::unknown)
        return fmt::format("nobody knows how many jobs wait, so it stays ({})", bounds);
    std::string need =
        fmt::format("{} {}, {} for each process{}: {} needed ({})", *load.depth,
                    *load.depth == 1 ? "job waits" : "jobs wait", rule.jobs_per_process,
                    load.busy ? fmt::format(", {} busy", *load.busy) : "", verdict.need, bounds);
    if (verdict.rest)
        return fmt::format("{}; shrinks in {} where that stays so", need,
                           format_duration(std::chrono::ceil<std::chrono::seconds>(*verdict.rest)));
    return need;
}

}  // namespace

Autoscaler::Autoscaler(loop::Loop& loop, Duration interval, Tools tools)
    : loop_(loop),
      interval_(interval),
      tools_(std::move(tools)),
      timer_(loop, [this] { look(); }) {}

void Autoscaler::want(ProgramId program, const std::optional<config::Autoscale>& rule) {
    if (!rule) {
        if (scaled_.erase(program) > 0 && scaled_.empty()) timer_.disarm();
        return;
    }
    const auto known = scaled_.find(program);
    if (known != scaled_.end() && known->second.rule == *rule) return;
    scaled_[program] = Scaled{*rule};
    look_now();
}

void Autoscaler::look_now() {
    if (!scaled_.empty()) timer_.arm(loop_.now());
}

std::vector<ProgramId> Autoscaler::programs() const {
    std::vector<ProgramId> all;
    for (const auto& [program, scaled] : scaled_) all.push_back(program);
    return all;
}

std::string Autoscaler::why(ProgramId program) const {
    const auto scaled = scaled_.find(program);
    return scaled == scaled_.end() ? "" : scaled->second.why;
}

Duration Autoscaler::pause() const {
    Duration shortest = interval_;
    for (const auto& [program, scaled] : scaled_)
        shortest = std::min(shortest, core::looked_at_each(interval_, scaled.rule));
    return shortest;
}

// Half a pause: what a scrape has just seen is good enough.
void Autoscaler::look() {
    if (scaled_.empty()) return;
    timer_.arm(loop_.now() + pause());
    tools_.look(pause() / 2, lifeline_.guard([this] { looked(); }));
}

void Autoscaler::looked() {
    for (const ProgramId program : programs()) consider(program);
}

void Autoscaler::consider(ProgramId program) {
    const auto scaled = scaled_.find(program);
    if (scaled == scaled_.end()) return;
    const auto size = tools_.size(program);
    if (!size) {
        scaled->second.autoscale = {};
        scaled->second.why = "none of it is wanted now, so it stays";
        return;
    }
    const auto depth = tools_.depth(program);
    if (!depth || core::Autoscale::need_of(scaled->second.rule, *depth) >= *size)
        return judge(program, {depth, std::nullopt});
    tools_.busy(program, lifeline_.guard([this, program, depth](const Result<std::uint32_t>& busy) {
        if (busy)
            judge(program, {depth, *busy});
        else
            judge(program, {std::nullopt, std::nullopt});
    }));
}

void Autoscaler::judge(ProgramId program, const core::Load& load) {
    const auto found = scaled_.find(program);
    const auto size = tools_.size(program);
    if (found == scaled_.end() || !size) return;
    Scaled& scaled = found->second;
    const auto verdict = scaled.autoscale.judge(scaled.rule, load, *size, loop_.now());
    scaled.why = text_of(scaled.rule, load, verdict);
    if (verdict.size != *size) tools_.resize(program, verdict.size, std::string(scaled.why));
}

}  // namespace muster::daemon
