#include "base/time.h"

#include <doctest/doctest.h>

using namespace muster;
using namespace std::chrono_literals;

TEST_CASE("durations are read with and without a unit") {
    CHECK(*parse_duration("250ms") == 250ms);
    CHECK(*parse_duration("10s") == 10s);
    CHECK(*parse_duration("5m") == 5min);
    CHECK(*parse_duration("1h") == 1h);
    CHECK(*parse_duration("1.5") == 1500ms);
}

TEST_CASE("what is not a duration is refused with a sentence") {
    for (const char* wrong : {"", "s", "10 s", "-1s", "10x", "1e9h", "9999999h", "nan", "inf"}) {
        CAPTURE(wrong);
        CHECK_FALSE(parse_duration(wrong));
    }
}

TEST_CASE("a duration is printed as it would be written") {
    for (const char* text : {"0s", "250ms", "1h", "90s", "5m"}) {
        CHECK(format_duration(*parse_duration(text)) == text);
    }
}

TEST_CASE("wall time is printed in UTC with milliseconds") {
    CHECK(format_wall_time(WallTime{1778894688287123us}) == "2026-05-16T01:24:48.287Z");
}

TEST_CASE("milliseconds are whole ones") {
    CHECK(in_ms(Duration{1500ms}) == 1500);
    CHECK(in_ms(Duration{1999us}) == 1);
    CHECK(in_ms(WallTime{1778894688287999us}) == 1778894688287);
    CHECK(ms_text(Duration{90s}) == "90000");
}
