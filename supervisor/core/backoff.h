#pragma once

#include <cstdint>

#include "core/policy.h"

namespace muster::core {

// min(max, initial * factor^failures) +- jitter; dice in [0, 1) picks the place within the jitter.
Duration backoff_pause(const Backoff& backoff, std::uint32_t failures, double dice);

}  // namespace muster::core
