#include "loop/timer.h"

#include <doctest/doctest.h>

#include <optional>
#include <thread>
#include <vector>

#include "../loop/turns.h"
#include "loop/lifeline.h"
#include "loop/prepare.h"

using namespace muster;
using namespace muster::loop;
using namespace std::chrono_literals;

TEST_CASE("a timer is never early, even when the loop's own clock is stale") {
    Loop loop;
    for (const Duration wait : {300us, 1000us, 1700us, 5000us, 20300us}) {
        std::optional<TimePoint> fired;
        Timer timer{loop, [&] { fired = loop.now(); }};
        uv_update_time(loop.raw());
        const TimePoint stale_since = loop.now();
        while (loop.now() < stale_since + 30ms) {  // a long callback: libuv's clock stands still
        }
        const TimePoint deadline = loop.now() + wait;
        timer.arm(deadline);
        REQUIRE(eventually(loop, [&] { return fired.has_value(); }));
        CHECK(*fired >= deadline);
        CHECK(*fired < deadline + 1s);
    }
}

TEST_CASE("a deadline in the past comes in the next turn, and only once") {
    Loop loop;
    int calls = 0;
    Timer timer{loop, [&] { ++calls; }};
    timer.arm(TimePoint{});
    CHECK(calls == 0);
    REQUIRE(eventually(loop, [&] { return calls > 0; }));
    some_turns(loop);
    CHECK(calls == 1);
    CHECK_FALSE(timer.is_armed());
}

TEST_CASE("the last deadline counts; a disarmed timer is silent; a callback may arm again") {
    Loop loop;
    int calls = 0;
    Timer timer{loop, [&] {
                    if (++calls < 3) timer.arm(loop.now() + 1ms);
                }};
    timer.arm(loop.now() + 1h);
    timer.arm(loop.now() + 1ms);
    timer.arm(loop.now() + 1h);
    timer.disarm();
    timer.disarm();
    some_turns(loop);
    CHECK(calls == 0);
    timer.arm(loop.now() + 1ms);
    REQUIRE(eventually(loop, [&] { return calls == 3; }));
    const TimePoint later = loop.now() + 1h;
    timer.arm(later);
    timer.arm(later);
    CHECK(timer.is_armed());
}

TEST_CASE("a timer may be destroyed in its own callback") {
    Loop loop;
    std::optional<Timer> timer;
    std::vector<int> seen;
    timer.emplace(loop, [&timer, &seen, kept = std::string(100, 'x')] {
        timer.reset();
        seen.push_back(static_cast<int>(kept.size()));  // the function itself still lives
    });
    timer->arm(TimePoint{});
    REQUIRE(eventually(loop, [&] { return !seen.empty(); }));
    CHECK(seen == std::vector{100});
}

TEST_CASE("nothing runs after its owner is gone") {
    Loop loop;
    int calls = 0;
    {
        Timer timer{loop, [&] { ++calls; }};
        timer.arm(TimePoint{});
        Prepare prepare{loop, [&] { ++calls; }};
        prepare.arm();
    }
    loop.run();
    CHECK(calls == 0);
}

TEST_CASE("run() ends by stop(), or when nothing is alive") {
    Loop loop;
    loop.run();
    Timer stopping{loop, [&] { loop.stop(); }};
    Timer waiting{loop, [] {}};
    waiting.arm(loop.now() + 1h);
    stopping.arm(loop.now());
    loop.run();
    CHECK(waiting.is_armed());
}

TEST_CASE("what is prepared in a turn runs before the loop sleeps, also when prepared by another") {
    Loop loop;
    std::string order;
    Prepare second{loop, [&] { order += "2"; }};
    Prepare first{loop, [&] {
                      order += "1";
                      second.arm();
                  }};
    Timer start{loop, [&] {
                    first.arm();
                    first.arm();
                    order += "t";
                }};
    Timer far{loop, [&] { order += "late"; }};
    far.arm(loop.now() + 4s);
    start.arm(loop.now());
    REQUIRE(eventually(loop, [&] { return order.size() >= 3; }));
    CHECK(order == "t12");
}

TEST_CASE(
    "a guarded function does nothing after its owner's death, and takes what cannot be copied") {
    std::vector<int> seen;
    std::function<void(std::unique_ptr<int>)> answer;
    {
        Lifeline lifeline;
        answer = lifeline.guard([&](std::unique_ptr<int> value) { seen.push_back(*value); });
        const auto copy = answer;
        answer(std::make_unique<int>(1));
        copy(std::make_unique<int>(2));
    }
    answer(std::make_unique<int>(3));
    CHECK(seen == std::vector{1, 2});
}

TEST_CASE("an owner may die inside its own guarded function") {
    auto lifeline = std::make_unique<Lifeline>();
    int calls = 0;
    std::function<void()> answer = lifeline->guard([&] {
        lifeline.reset();
        ++calls;
    });
    answer();
    answer();
    CHECK(calls == 1);
}
