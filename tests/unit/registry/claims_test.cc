#include "registry/claims.h"

#include <doctest/doctest.h>

#include <optional>

#include "../redis/rig.h"
#include "registry/rq.h"

using namespace muster;
using namespace std::chrono_literals;
using registry::Claim;
using registry::ClaimOutcome;
using registry::Claims;
using registry::Release;
using registry::Released;
using registry::Rq;
using test::RedisServer;
using test::run_until;

namespace {

const std::string a_birth = "2026-05-16T01:24:49.250000Z";

struct Rig {
    Rig()
        : client(loop, {.url = server.url()}, {}),
          rq(client, {.hostname = "box", .owner = "us", .prefix = "muster", .is_of_family = {}}),
          claims(loop, client, {.prefix = "muster", .owner = "us"}) {
        client.start();
        REQUIRE(run_until(loop, [this] { return client.is_connected(); }));
    }

    ClaimOutcome claim(Claims& whose, const Claim& claim) {
        std::optional<Result<ClaimOutcome>> answer;
        whose.claim(claim, [&](Result<ClaimOutcome> result) { answer = std::move(result); });
        REQUIRE(run_until(loop, [&] { return answer.has_value(); }));
        REQUIRE(*answer);
        return **answer;
    }
    void release_w() {
        bool is_answered = false;
        rq.release({.process = ProcessId{1},
                    .incarnation = Incarnation{1},
                    .name = "w",
                    .pid = Pid{42},
                    .hostname = "box",
                    .spawned_at = WallTime{1'778'894'688s},
                    .registration = std::nullopt},
                   [&](const Result<Released>& result) {
                       REQUIRE(result);
                       is_answered = true;
                   });
        REQUIRE(run_until(loop, [&] { return is_answered; }));
    }

    RedisServer server;
    loop::Loop loop;
    redis::Client client;
    Rq rq;
    Claims claims;
};

}  // namespace

TEST_CASE("a name is claimed once, and says who holds it") {
    Rig rig;
    Claims other(rig.loop, rig.client, {.prefix = "muster", .owner = "them"});
    const Claim wanted{.process = ProcessId{1}, .name = "w"};
    CHECK(rig.claim(rig.claims, wanted).claimed);
    CHECK(rig.claim(rig.claims, wanted).claimed);  // again: prolonged
    const auto held = rig.claim(other, wanted);
    CHECK_FALSE(held.claimed);
    CHECK(held.claimed_by == "us/1");
    const Claim sibling{.process = ProcessId{2}, .name = "w"};
    CHECK_FALSE(rig.claim(rig.claims, sibling).claimed);
    const auto left = rig.server.number({"PTTL", "muster:claim:w"});
    CHECK(left > 100'000);
    CHECK(left <= 120'000);

    rig.claims.drop(sibling);  // not theirs to drop
    rig.claims.drop(wanted);
    CHECK(rig.claim(other, wanted).claimed);
}

TEST_CASE("a live holder in the registry holds the name, a dead one does not") {
    Rig rig;
    rig.server.ask({"HSET", "rq:worker:w", "pid", "42", "hostname", "box", "birth", a_birth});
    const Claim wanted{.process = ProcessId{1}, .name = "w", .holder_key = rig.rq.holder_key("w")};
    const auto held = rig.claim(rig.claims, wanted);
    CHECK_FALSE(held.claimed);
    CHECK(held.pid == "42");
    CHECK(held.hostname == "box");
    CHECK(held.since == a_birth);
    CHECK(rig.server.number({"EXISTS", "muster:claim:w"}) == 0);
    rig.server.ask({"HSET", "rq:worker:w", "death", a_birth});
    CHECK(rig.claim(rig.claims, wanted).claimed);
}

TEST_CASE("a release drops our claim of the name, and nobody else's") {
    Rig rig;
    Claims other(rig.loop, rig.client, {.prefix = "muster", .owner = "them"});
    const Claim wanted{.process = ProcessId{1}, .name = "w"};
    CHECK(rig.claim(other, wanted).claimed);
    rig.release_w();
    CHECK(rig.server.text({"GET", "muster:claim:w"}) == "them/1");
    rig.server.ask({"DEL", "muster:claim:w"});
    CHECK(rig.claim(rig.claims, wanted).claimed);
    rig.release_w();
    CHECK(rig.server.number({"EXISTS", "muster:claim:w"}) == 0);
}

TEST_CASE("a claim that is held outlasts its time, until it is let go") {
    Rig rig;
    const Claim wanted{.process = ProcessId{1}, .name = "w", .lasts = 900ms};
    const Claim longer{.process = ProcessId{2}, .name = "longer"};
    CHECK(rig.claim(rig.claims, wanted).claimed);
    rig.claims.hold(wanted);
    rig.claims.hold(longer);  // puts nothing off
    const TimePoint end = rig.loop.now() + 1500ms;
    REQUIRE(run_until(rig.loop, [&] {
        CHECK(rig.server.number({"EXISTS", "muster:claim:w"}) == 1);
        return rig.loop.now() >= end;
    }));
    rig.claims.let_go(wanted.process);
    CHECK(run_until(rig.loop, [&] {
        return rig.server.number({"EXISTS", "muster:claim:w"}) == 0;
    }));
}
