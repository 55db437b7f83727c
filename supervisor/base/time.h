#pragma once
// Steady time decides; wall time is only printed and stored.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace muster {

using Duration = std::chrono::nanoseconds;
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;
using WallTime = std::chrono::time_point<std::chrono::system_clock, std::chrono::microseconds>;

WallTime wall_now();  // not for core/: there time is an argument

// Whole milliseconds, as scripts and job systems count: a length, since 1970, and a length as text.
std::int64_t in_ms(Duration length);
std::int64_t in_ms(WallTime time);
std::string ms_text(Duration length);

// "250ms" "10s" "5m" "1h", also decimals ("1.5s") and a bare number of seconds. At most 10 years.
Result<Duration> parse_duration(std::string_view text);

// The shortest text that parse_duration reads back to the same value: "250ms", "90s", "1h".
std::string format_duration(Duration duration);

// Seconds with milliseconds, for log fields: "12.4s".
std::string format_seconds(Duration duration);

// "2026-05-16T01:24:48.287Z" (milliseconds, UTC).
std::string format_wall_time(WallTime time);

}  // namespace muster
