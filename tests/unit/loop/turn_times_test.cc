#include "loop/turn_times.h"

#include <doctest/doctest.h>

#include <thread>

#include "loop/timer.h"

using namespace muster;
using namespace muster::loop;
using namespace std::chrono_literals;

TEST_CASE("a turn that works for long is seen, and waiting is no work") {
    Loop loop;
    TurnTimes times{loop};
    Timer last{loop, [&] { loop.stop(); }};  // libuv 1.45 and newer end before this turn is over
    Timer idle{loop, [&] { last.arm(loop.now() + 5ms); }};
    Timer first{loop, [&] {
                    std::this_thread::sleep_for(60ms);  // the long work itself
                    idle.arm(loop.now() + 150ms);
                }};
    first.arm(loop.now() + 5ms);
    loop.run();
    const Histogram& seen = times.histogram();
    CHECK(seen.count() >= 2);
    CHECK(seen.sum() > 0.05);
    std::uint64_t long_ones = 0;
    for (std::size_t i = 0; i < Histogram::bounds.size(); ++i) {
        if (Histogram::bounds[i] > 0.05) long_ones += seen.counts()[i];
    }
    CHECK(long_ones >= 1);
    CHECK(long_ones < seen.count());
}

TEST_CASE("it keeps no loop alive") {
    Loop loop;
    const TurnTimes times{loop};
    loop.run();
    CHECK(times.histogram().count() <= 1);
}

TEST_CASE("a histogram counts by the upper bound") {
    Histogram histogram;
    histogram.observe(1ms);
    histogram.observe(1100us);
    histogram.observe(2h);
    CHECK(histogram.counts()[0] == 1);
    CHECK(histogram.counts()[1] == 1);
    CHECK(histogram.count() == 3);
    CHECK(histogram.sum() == doctest::Approx(7200.0021));
}
