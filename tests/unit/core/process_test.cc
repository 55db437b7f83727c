#include <doctest/doctest.h>

#include "core/backoff.h"
#include "rig.h"

using namespace muster;
using namespace muster::core;
using namespace std::chrono_literals;

namespace {
constexpr Exit killed{true, 9};
constexpr Exit clean{false, 0};
constexpr Exit broken{false, 1};

}  // namespace

TEST_CASE("the pause doubles up to its maximum, and the dice moves it within the jitter") {
    const Backoff backoff;
    CHECK(backoff_pause(backoff, 0, 0.5) == 1s);
    CHECK(backoff_pause(backoff, 3, 0.5) == 8s);
    CHECK(backoff_pause(backoff, 4'000'000'000U, 0.5) == 60s);
    CHECK(backoff_pause(backoff, 0, 0.0) == 750ms);
    CHECK(backoff_pause(backoff, 0, 0.999999) <= 1250ms);
}

TEST_CASE("the first crash after a healthy life restarts at once, as a new incarnation") {
    Rig rig{worker_policy()};
    rig.start();
    rig.up();
    const Incarnation first = rig.who();
    rig.gone(killed);
    CHECK(rig.state() == State::starting);
    CHECK(rig.who() != first);
    CHECK(rig.count<Spawn>() == 2);
}

TEST_CASE(
    "I6: the name is released after the family has ended, and the replacement starts after the "
    "release") {
    Rig rig{worker_policy()};
    rig.start();
    rig.up();
    rig.dies(killed);
    CHECK(rig.count<EndFamily>() == 1);
    CHECK(rig.count<ReleaseName>() == 0);
    rig.family_ends();
    CHECK(rig.count<ReleaseName>() == 1);
    CHECK(rig.count<Spawn>() == 1);
    rig.name_released();
    CHECK(rig.count<Spawn>() == 2);
}

TEST_CASE("a release that nobody answers delays the replacement by release_wait and no longer") {
    Rig rig{worker_policy()};
    rig.start();
    rig.up();
    rig.dies(killed);
    rig.family_ends();
    rig.pass(999ms);
    CHECK(rig.count<Spawn>() == 1);
    rig.pass(1ms);
    CHECK(rig.count<Spawn>() == 2);
}

TEST_CASE("I1: a family that does not end keeps the replacement back") {
    Rig rig{worker_policy()};
    rig.start();
    rig.up();
    rig.dies(killed);
    rig.pass(1h);
    rig.post(StartWanted{});
    CHECK(rig.count<Spawn>() == 1);
    rig.family_ends();
    rig.name_released();
    CHECK(rig.count<Spawn>() == 2);
}

TEST_CASE("crashes in a row back off; ready for reset_after forgives them") {
    Rig rig{worker_policy()};
    rig.start();
    rig.up();
    rig.gone(killed);  // at once
    rig.up();
    rig.gone(killed);
    CHECK(rig.state() == State::backoff);
    rig.pass(1999ms);
    CHECK(rig.state() == State::backoff);
    rig.pass(1ms);
    CHECK(rig.state() == State::starting);
    rig.up();
    rig.pass(2min);
    rig.gone(killed);
    CHECK(rig.state() == State::starting);
}

TEST_CASE("a start that never became ready backs off, and start_limit makes it FATAL") {
    Policy policy = worker_policy();
    policy.start_limit = 3;
    policy.on_fatal = OnFatal::stay;
    Rig rig{policy};
    rig.start();
    for (int i = 0; i < 3; ++i) {
        rig.spawned();
        rig.gone(broken);
        rig.pass(1min);
    }
    CHECK(rig.state() == State::fatal);
    CHECK(rig.count<Spawn>() == 3);
    rig.post(StartWanted{});
    CHECK(rig.state() == State::starting);
}

TEST_CASE("an exit with an expected code right after the start is a failure: no hot loop") {
    Rig rig{worker_policy()};
    rig.start();
    rig.up();
    rig.pass(10ms);
    rig.gone(clean);
    CHECK(rig.state() == State::backoff);
    rig.pass(2s);
    rig.up();
    rig.pass(3s);
    rig.gone(clean);
    CHECK(rig.state() == State::starting);
}

TEST_CASE("restart = on-failure and never end in EXITED where they should") {
    Policy policy = worker_policy();
    policy.restart = Restart::on_failure;
    Rig on_failure{policy};
    on_failure.start();
    on_failure.up();
    on_failure.gone(broken);
    CHECK(on_failure.state() == State::starting);
    on_failure.up();
    on_failure.gone(clean);
    CHECK(on_failure.state() == State::exited);
    CHECK(on_failure.finished() == 0);

    policy.restart = Restart::never;
    Rig never{policy};
    never.start();
    never.up();
    never.gone(broken);
    CHECK(never.state() == State::exited);
    CHECK(never.finished() == 1);
}

TEST_CASE(
    "a stop sends its signal once, waits, and kills; it is done when family and name are gone "
    "(I3)") {
    Rig rig{worker_policy()};
    rig.start();
    rig.up();
    rig.post(StopWanted{});
    rig.post(StopWanted{});
    CHECK(rig.count<SendSignal>() == 1);
    rig.pass(25s);
    CHECK(rig.count<SendSignal>() == 2);
    CHECK(std::get<SendSignal>(rig.orders.back()).signal.value() == 9);
    CHECK_FALSE(rig.fleet.next_deadline());
    rig.dies(killed);
    CHECK(rig.state() == State::stopping);
    rig.family_ends();
    CHECK(rig.state() == State::stopping);
    rig.name_released();
    CHECK(rig.state() == State::stopped);
    CHECK_FALSE(rig.finished());
}

TEST_CASE("a start that is not ready in time is stopped, counted and tried again") {
    Rig rig{worker_policy()};
    rig.start();
    rig.spawned();
    rig.pass(60s);
    CHECK(rig.state() == State::stopping);
    rig.gone(Exit{true, 15});
    CHECK(rig.state() == State::backoff);
    CHECK(rig.fleet.machine(ProcessId{0}).failures() == 1);
}

TEST_CASE("I13: while Redis is away nothing counts and nobody is killed for not being registered") {
    Policy policy = worker_policy();
    policy.start_limit = 2;
    Rig rig{policy};
    rig.moment.redis_is_away = true;
    rig.start();
    rig.spawned();
    rig.pass(10min);
    CHECK(rig.state() == State::starting);
    for (int i = 0; i < 5; ++i) {
        rig.gone(broken);
        CHECK(rig.state() == State::backoff);
        rig.pass(1min + 20s);
        rig.spawned();
    }
    CHECK(rig.fleet.machine(ProcessId{0}).failures() == 0);
    rig.gone(broken);
    rig.moment.redis_is_away = false;
    rig.fleet.redis_is_back(rig.moment);
    rig.pass(0s);
    CHECK(rig.state() == State::starting);
}

TEST_CASE("a fork that fails for want of pids is nobody's crash: within a second, never counted") {
    Policy policy = worker_policy();
    policy.start_limit = 2;
    Rig rig{policy};
    rig.start();
    for (int i = 0; i < 20; ++i) {
        rig.post(SpawnFailed{rig.who(), true});
        CHECK(rig.state() == State::backoff);
        rig.pass(1s);
        CHECK(rig.state() == State::starting);
    }
    CHECK(rig.fleet.machine(ProcessId{0}).failures() == 0);
}

TEST_CASE("a name that must be claimed is claimed before the spawn; a refusal is a failed start") {
    Policy policy = worker_policy();
    policy.claims_name = true;
    Rig rig{policy};
    rig.start();
    CHECK(rig.count<ClaimName>() == 1);
    CHECK(rig.count<Spawn>() == 0);
    rig.post(ClaimRefused{rig.who()});
    CHECK(rig.state() == State::backoff);
    rig.pass(2s);
    rig.post(NameClaimed{rig.who()});
    CHECK(rig.count<Spawn>() == 1);
}

TEST_CASE("news of an earlier life is dropped") {
    Rig rig{worker_policy()};
    rig.start();
    rig.up();
    const Incarnation first = rig.who();
    rig.gone(killed);
    rig.up();
    rig.post(ChildExited{first, killed});
    rig.post(FamilyEnded{first, false});
    rig.post(NameReleased{first});
    CHECK(rig.state() == State::running);
    CHECK(rig.count<EndFamily>() == 1);
}

TEST_CASE("a restart is a stop and a start, and a stop during it wins") {
    Rig rig{worker_policy()};
    rig.start();
    rig.up();
    rig.post(RestartWanted{});
    rig.gone(Exit{true, 15});
    CHECK(rig.state() == State::starting);
    rig.up();
    rig.post(RestartWanted{});
    rig.post(StopWanted{});
    rig.gone(Exit{true, 15});
    CHECK(rig.state() == State::stopped);
}

TEST_CASE("what somebody left behind with orphans = leave is not released") {
    Rig rig{worker_policy()};
    rig.start();
    rig.up();
    rig.dies(killed);
    rig.post(FamilyEnded{rig.who(), true});
    CHECK(rig.count<ReleaseName>() == 0);
    CHECK(rig.state() == State::starting);
}

TEST_CASE("a worker that is unhealthy is restarted through its stop steps, unless Redis is away") {
    Rig rig{worker_policy()};
    rig.start();
    rig.up();
    const Incarnation first = rig.who();
    rig.post(Unhealthy{Incarnation{first.value() + 1}});
    CHECK(rig.state() == State::running);
    rig.moment.redis_is_away = true;
    rig.post(Unhealthy{first});
    CHECK(rig.state() == State::running);  // I13
    rig.moment.redis_is_away = false;
    rig.post(Unhealthy{first});
    CHECK(rig.state() == State::stopping);
    CHECK(rig.count<SendSignal>() == 1);
    rig.gone(killed);
    CHECK(rig.state() == State::starting);
    CHECK(rig.who() != first);
}

TEST_CASE("a worker that would not be started again is not killed for its health") {
    Policy policy = worker_policy();
    policy.restart = Restart::never;
    Rig rig{policy};
    rig.start();
    rig.up();
    rig.post(Unhealthy{rig.who()});
    CHECK(rig.state() == State::running);
}

TEST_CASE("a stop while the name is claimed has nothing of an earlier life's draining") {
    Policy policy = worker_policy();
    policy.claims_name = true;
    policy.drain = 10min;
    Rig rig{policy};
    rig.start();
    rig.post(NameClaimed{rig.who()});
    rig.up();
    rig.post(RenewalWanted{rig.who(), Renewal::rolled});
    rig.gone(killed);  // of its first signal: it was still draining
    CHECK(rig.state() == State::starting);
    rig.post(StopWanted{});
    rig.post(StopWanted{});
    CHECK(rig.state() == State::stopping);
}
