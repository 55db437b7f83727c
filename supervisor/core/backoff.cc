#include "core/backoff.h"

#include <algorithm>
#include <cmath>

namespace muster::core {

Duration backoff_pause(const Backoff& backoff, std::uint32_t failures, double dice) {
    // 64 doublings of a nanosecond pass any maximum: the exponent is bounded so that pow() stays
    // finite.
    const double exponent = std::min<std::uint32_t>(failures, 64);
    const double grown =
        static_cast<double>(backoff.initial.count()) * std::pow(backoff.factor, exponent);
    const double capped = std::min(grown, static_cast<double>(backoff.max.count()));
    return Duration{static_cast<Duration::rep>(capped * (1 + backoff.jitter * (2 * dice - 1)))};
}

}  // namespace muster::core
