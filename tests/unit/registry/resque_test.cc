#include "registry/resque.h"

#include <doctest/doctest.h>

#include "rig.h"

using namespace muster;
using registry::Registration;
using registry::RegistryKind;
using Verdict = registry::Released::Verdict;

namespace {

const std::string lock = "resque:pruning_dead_workers_in_progress";
const std::string heartbeats = "resque:workers:heartbeat";

struct Rig : test::SystemRig {
    Rig() : SystemRig(RegistryKind::resque) {}

    // What Resque writes at a worker's start, and while it works.
    Registration starts(const std::string& id,
                        const std::string& started = "2026-05-16 03:24:49 +0200",
                        bool is_busy = false) {
        server.ask({"SADD", "resque:workers", id});
        server.ask({"SET", "resque:worker:" + id + ":started", started});
        server.ask({"HSET", heartbeats, id, "2026-05-16T01:24:49Z"});
        if (is_busy)
            server.ask(
                {"SET", "resque:worker:" + id,
                 R"({"queue":"high","run_at":"…","payload":{"class":"Archive","args":[1]}})"});
        return {.name = id,
                .pid = "42",
                .hostname = "box",
                .birth = started,
                .queues = {"high", "low"},
                .version = ""};
    }
};

}  // namespace

TEST_CASE("Resque: a worker is found by host, pid and start, whatever its time zone") {
    for (const char* started : {"2026-05-16 01:24:49 UTC", "2026-05-16 01:24:48 +0000",
                                "2026-05-16 03:24:49 +0200", "2026-05-15 21:54:49 -0330"}) {
        CAPTURE(started);
        Rig rig;
        const auto ours = rig.starts("box:42:high,low", started);
        rig.starts("box:43:high");
        rig.starts("boxer:42:high");
        const auto found = rig.look({rig.sought(42), rig.sought(44)});
        CHECK(found[0] == ours);
        CHECK_FALSE(found[1]);
    }
}

TEST_CASE(
    "Resque: an earlier life's entry, or one without a readable start, is not taken for ours") {
    for (const char* started :
         {"2026-05-16 01:24:45 UTC", "2026-05-16 01:24:49 +0200", "yesterday", "",
          "2026-13-16 01:24:49 UTC", "2026-05-16 01:24:49 CEST", "2026-05-16T01:24:49Z   "}) {
        CAPTURE(started);
        Rig rig;
        rig.starts("box:42:high,low", started);
        CHECK_FALSE(rig.look({rig.sought()})[0]);
    }
    Rig rig;
    rig.server.ask({"SADD", "resque:workers", "box:42:high", "box:x:high", "box:42"});
    CHECK_FALSE(rig.look({rig.sought()})[0]);
}

TEST_CASE("Resque: a dead worker is not unregistered; its heartbeat is set into the past (I6)") {
    Rig rig;
    rig.starts("box:43:high", "2026-05-16 01:24:49 UTC", true);
    const auto dead = rig.starts("box:42:high,low", "2026-05-16 01:24:49 UTC", true);
    rig.server.ask({"SET", lock, dead.name, "EX", "60"});
    const auto done = rig.release(rig.death(dead));
    CHECK(done.verdict == Verdict::told);
    CHECK(done.detail == "the next Resque worker to start prunes it and fails its job");
    CHECK(rig.server.text({"HGET", heartbeats, dead.name}) == "1970-01-01T00:00:00Z");
    CHECK(rig.server.number({"EXISTS", lock}) == 0);
    CHECK(rig.server.number({"SISMEMBER", "resque:workers", dead.name}) == 1);
    CHECK(rig.server.number({"EXISTS", "resque:worker:" + dead.name}) == 1);
    CHECK(rig.server.text({"HGET", heartbeats, "box:43:high"}) == "2026-05-16T01:24:49Z");
}

TEST_CASE("Resque: another's prune lock stays, and an idle worker is told of alike") {
    Rig rig;
    rig.starts("box:42:high,low");
    rig.server.ask({"SET", lock, "box:43:high"});
    const auto done = rig.release(rig.death());  // it died before it was seen
    CHECK(done.verdict == Verdict::told);
    CHECK(done.detail == "the next Resque worker to start prunes it");
    CHECK(rig.server.text({"GET", lock}) == "box:43:high");
}

TEST_CASE("Resque: nothing is done for one that ended in order, whose id lives on, or by order") {
    Rig rig;
    const auto dead = rig.starts("box:42:high,low");
    rig.server.ask({"SREM", "resque:workers", dead.name});
    CHECK(rig.release(rig.death(dead)).verdict == Verdict::nothing_there);

    rig.starts(dead.name, "2026-05-16 03:30:00 +0200", true);
    auto before = rig.everything();
    const auto done = rig.release(rig.death(dead));
    CHECK(done.verdict == Verdict::mismatch);
    CHECK(done.detail == "the id is in use since 2026-05-16 03:30:00 +0200");
    CHECK(rig.everything() == before);

    rig.starts(dead.name, dead.birth, true);
    before = rig.everything();
    auto death = rig.death(dead);
    death.jobs = core::Jobs::leave;
    const auto left = rig.release(death);
    CHECK(left.verdict == Verdict::left);
    CHECK(left.detail == "Resque sees the death by itself, after 300 s");
    CHECK(rig.everything() == before);
}

TEST_CASE(
    "Resque: a live worker that fell out is put back as it wrote itself, at the second look") {
    Rig rig;
    const auto ours = rig.starts("box:42:high,low");
    const auto other = rig.starts("box:43:high");
    const std::string as_it_was = rig.everything();
    using State = registry::Presence::State;
    const auto check = [&] {
        std::optional<std::vector<registry::Presence>> answer;
        rig.system->check({{ours, ""}, {other, ""}}, [&](const auto& seen) {
            REQUIRE(seen);
            answer = *seen;
        });
        REQUIRE(test::run_until(rig.loop, [&] { return answer.has_value(); }));
        REQUIRE(answer->size() == 2);
        return std::pair{(*answer)[0].state, (*answer)[1].state};
    };
    CHECK(check() == std::pair{State::here, State::here});
    CHECK(rig.everything() == as_it_was);
    rig.server.ask({"SREM", "resque:workers", ours.name});
    rig.server.ask({"DEL", "resque:worker:" + ours.name + ":started"});
    CHECK(check() == std::pair{State::here, State::here});  // it may just be ending
    CHECK(rig.server.number({"SISMEMBER", "resque:workers", ours.name}) == 0);
    CHECK(check() == std::pair{State::put_back, State::here});
    CHECK(rig.everything() == as_it_was);
    rig.server.ask({"SREM", "resque:workers", ours.name});
    check();
    rig.server.ask({"SET", "resque:worker:" + ours.name + ":started", "2026-05-16 09:00:00 +0200"});
    CHECK(check().first == State::foreign);
    CHECK(rig.server.number({"SISMEMBER", "resque:workers", ours.name}) == 0);
}
