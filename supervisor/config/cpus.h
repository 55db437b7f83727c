#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace muster::config {

// How many processors we may use: the tightest cgroup quota above us, rounded up, else the
// processors that we may run on. At least 1.
std::uint32_t usable_cpus();

// "150000 100000" (cpu.max) to 1.5; nothing for "max …" and for what is no quota.
std::optional<double> quota_of(std::string_view cpu_max);

}  // namespace muster::config
