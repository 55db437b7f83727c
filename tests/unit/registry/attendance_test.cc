#include "registry/attendance.h"

#include <doctest/doctest.h>

#include "rig.h"

using namespace muster;
using namespace std::chrono_literals;
using registry::Attending;
using registry::judge;
using registry::Presence;
using State = registry::Presence::State;

namespace {

const TimePoint start{1h};

Attending worker() {
    return {.rule = {.missing_after = 60s, .heartbeat_timeout = 10min},
            .heartbeat = "h1",
            .still_since = start,
            .job = {},
            .job_since = start,
            .foreign_since = {}};
}

Presence seen(const std::string& heartbeat, const std::string& status) {
    return {.state = State::here, .heartbeat = heartbeat, .status = status};
}

// Looks each minute; answers when it is first called unhealthy.
std::optional<Duration> hung_after(Attending& one, const Presence& presence, Duration longest) {
    for (Duration at = 1min; at <= longest; at += 1min) {
        if (!judge(one, presence, start + at).empty()) return at;
    }
    return std::nullopt;
}

}  // namespace

TEST_CASE("an idle worker is hung when its heartbeat stood still for its time and three checks") {
    auto one = worker();
    CHECK(hung_after(one, seen("h1", "idle"), 1h) == 12min);
    auto living = worker();
    for (int minute = 1; minute < 60; ++minute) {
        const auto beat = "h" + std::to_string(minute / 7);  // RQ's beats are 405 s apart
        CHECK(judge(living, seen(beat, "idle"), start + std::chrono::minutes{minute}).empty());
    }
}

TEST_CASE("a busy worker is never hung by age, unless its job has a timeout") {
    auto one = worker();
    auto busy = seen("h1", "busy");
    busy.job = "j";
    CHECK_FALSE(hung_after(one, busy, 48h));
    auto other = worker();
    busy.job_timeout = 30min;
    CHECK(hung_after(other, busy, 48h) == 33min);  // seen at the first minute, and 120 s of grace
    auto next = worker();
    CHECK_FALSE(hung_after(next, busy, 30min));
    busy.job = "k";
    CHECK(judge(next, busy, start + 40min).empty());  // another job, another time
}

TEST_CASE("a suspended worker, and one of whom no state is known, stand still rightly") {
    for (const char* status : {"suspended", ""}) {
        auto one = worker();
        CHECK_FALSE(hung_after(one, seen("h1", status), 48h));
    }
}

TEST_CASE("a worker whose name is another's is unhealthy after missing_after") {
    auto one = worker();
    Presence foreign;
    foreign.state = State::foreign;
    CHECK(judge(one, foreign, start).empty());
    CHECK(judge(one, foreign, start + 59s).empty());
    CHECK(judge(one, foreign, start + 60s) == "it runs, but its name is held by another worker");
    CHECK(judge(one, seen("h2", "idle"), start + 61s).empty());
    CHECK(judge(one, foreign, start + 62s).empty());
}

TEST_CASE("workers are looked at each interval, and more often where missing_after was shortened") {
    using registry::looked_at_each;
    CHECK(looked_at_each(60s, {}) == 60s);
    CHECK(looked_at_each(300s, {}) == 300s);  // redis.economy
    CHECK(looked_at_each(60s, {.missing_after = 5min}) == 60s);
    CHECK(looked_at_each(300s, {.missing_after = 5s}) == 5s);
    CHECK(looked_at_each(300s, {.missing_after = 10ms}) == 1s);
}

TEST_CASE(
    "a worker that is to be looked at soon does not wait for those that are seldom looked at") {
    loop::Loop loop;
    int looks = 0;
    registry::Attendance attendance{
        loop,
        1h,
        {.check = [&](core::RegistryKind, const std::vector<registry::Present>&,
                      const registry::System::CheckDone&) { ++looks; },
         .put_back = {},
         .judged = {}}};
    attendance.connected();
    attendance.add(ProcessId{0}, Incarnation{1}, core::RegistryKind::rq, {}, {});
    attendance.add(ProcessId{1}, Incarnation{1}, core::RegistryKind::resque, {},
                   {.missing_after = 1s, .heartbeat_timeout = 10min});
    CHECK(test::run_until(loop, [&] { return looks == 2; }));  // one call for each job system
}
