#include "core/autoscale.h"

#include <algorithm>

namespace muster::core {

std::uint32_t Autoscale::need_of(const AutoscaleRule& rule, std::uint64_t depth) {
    const std::uint64_t whole = depth / rule.jobs_per_process;
    const std::uint64_t need = whole + (depth % rule.jobs_per_process > 0 ? 1 : 0);
    return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(need, rule.min, rule.max));
}

Duration looked_at_each(Duration interval, const AutoscaleRule& rule) {
    return std::min(interval, std::max<Duration>(std::chrono::seconds{1}, rule.down_after / 4));
}

Autoscale::Verdict Autoscale::judge(const AutoscaleRule& rule,
                                    const Load& load,
                                    std::uint32_t size,
                                    TimePoint now) {
    const std::uint32_t within = std::clamp(size, rule.min, rule.max);
    if (!load.depth) {
        less_.reset();
        return {within, Cause::unknown};
    }
    const std::uint32_t need =
        std::max(need_of(rule, *load.depth), std::min(load.busy.value_or(0), rule.max));
    if (need >= within) {
        less_.reset();
        return {need, need > size ? Cause::more_needed : Cause::needed, need};
    }
    if (!less_) less_ = LessNeed{now, need};
    less_->highest = std::max(less_->highest, need);
    const Duration lasted = now - less_->since;
    if (lasted < rule.down_after)
        return {within, Cause::less_needed, need, rule.down_after - lasted};
    const std::uint32_t highest = std::min(less_->highest, within);
    less_.reset();
    return {highest, Cause::was_less_needed, need};
}

}  // namespace muster::core
