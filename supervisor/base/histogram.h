#pragma once
// Counts of what was measured, by size: what a Prometheus histogram holds.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace muster {

class Histogram {
public:
    // Upper bounds, in seconds; what is above the last only counts to the sum and the whole.
    static constexpr std::array<double, 14> bounds{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                   0.25,  0.5,    1,     2.5,  5,     10,   60};

    void observe(Duration duration) {
        const double seconds = std::chrono::duration<double>(duration).count();
        const auto* const bound = std::lower_bound(bounds.begin(), bounds.end(), seconds);
        if (bound != bounds.end()) ++counts_[static_cast<std::size_t>(bound - bounds.begin())];
        ++count_;
        sum_ += seconds;
    }
    // Of each bound alone, not of all below it.
    [[nodiscard]] const std::array<std::uint64_t, bounds.size()>& counts() const { return counts_; }
    [[nodiscard]] std::uint64_t count() const { return count_; }
    [[nodiscard]] double sum() const { return sum_; }

private:
    std::array<std::uint64_t, bounds.size()> counts_{};
    std::uint64_t count_ = 0;
    double sum_ = 0;
};

}  // namespace muster
