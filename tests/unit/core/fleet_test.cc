#include <doctest/doctest.h>

#include "rig.h"

using namespace muster;
using namespace muster::core;
using namespace std::chrono_literals;

namespace {

constexpr Exit clean{false, 0};
constexpr Exit broken{false, 3};

Policy plain() {
    Policy policy = worker_policy();
    policy.has_registry = false;
    return policy;
}

Policy once() {
    Policy policy = plain();
    policy.restart = Restart::never;
    return policy;
}

}  // namespace

TEST_CASE("a program starts when what it comes after is ready or has succeeded") {
    Rig rig{{{"work", plain(), {{"migrate", Condition::succeeded}, {"redis", Condition::ready}}, 2},
             {"migrate", once(), {}, 1},
             {"redis", plain(), {}, 1}}};
    rig.start();
    CHECK(rig.state(0) == State::stopped);
    CHECK(rig.fleet.held_by(ProcessId{0}) == "waits for migrate:succeeded");
    rig.up(3);
    CHECK(rig.state(0) == State::stopped);
    rig.up(2);
    rig.gone(clean, 2);
    CHECK(rig.state(0) == State::starting);
    CHECK(rig.state(1) == State::starting);
    CHECK(rig.fleet.held_by(ProcessId{0}).empty());
}

TEST_CASE("the shutdown stops dependents first and then finishes with 0") {
    Rig rig{{{"redis", plain(), {}, 1}, {"work", plain(), {{"redis", Condition::ready}}, 1}}};
    rig.start();
    rig.up(0);
    rig.up(1);
    rig.shut_down();
    CHECK(rig.state(1) == State::stopping);
    CHECK(rig.state(0) == State::running);
    rig.gone(Exit{true, 15}, 1);
    CHECK(rig.state(0) == State::stopping);
    CHECK_FALSE(rig.finished());
    rig.gone(Exit{true, 15}, 0);
    CHECK(rig.finished() == 0);
}

TEST_CASE("nothing is started once the shutdown has begun") {
    Rig rig{{{"a", plain(), {}, 1}, {"b", plain(), {}, 1}}};
    rig.start();
    rig.up(0);
    rig.up(1);
    rig.shut_down();
    rig.gone(clean, 0);
    rig.post(StartWanted{}, 0);
    rig.post(RestartWanted{}, 1);
    rig.gone(clean, 1);
    CHECK(rig.count<Spawn>() == 2);
    CHECK(rig.finished() == 0);
}

TEST_CASE("who waits for its dependents' end is not replaced for being unhealthy") {
    Rig rig{{{"redis", plain(), {}, 1}, {"work", plain(), {{"redis", Condition::ready}}, 1}}};
    rig.start();
    rig.up(0);
    rig.up(1);
    rig.shut_down();
    rig.post(Unhealthy{rig.who(0)}, 0);
    CHECK(rig.state(0) == State::running);
    rig.gone(clean, 1);
    rig.gone(Exit{true, 15}, 0);
    CHECK(rig.count<Spawn>() == 2);
    CHECK(rig.finished() == 0);
}

TEST_CASE("a name that is claimed when the shutdown begins leads to no spawn") {
    Policy beat = worker_policy();
    beat.claims_name = true;
    Rig rig{{{"beat", beat, {}, 1}, {"work", plain(), {{"beat", Condition::started}}, 1}}};
    rig.start();
    rig.up(1);
    rig.shut_down();
    rig.post(NameClaimed{rig.who(0)}, 0);
    CHECK(rig.count<Spawn>() == 1);
    rig.family_ends(0);
    rig.name_released(0);
    rig.gone(Exit{true, 15}, 1);
    CHECK(rig.finished() == 0);
}

TEST_CASE("when nothing is left to run the status is the first essential failure's") {
    Policy unimportant = once();
    unimportant.essential = false;
    Rig rig{{{"a", unimportant, {}, 1}, {"b", once(), {}, 1}, {"c", once(), {}, 1}}};
    rig.start();
    for (std::uint32_t i = 0; i < 3; ++i) rig.up(i);
    rig.gone(Exit{false, 9}, 0);
    rig.gone(broken, 1);
    CHECK_FALSE(rig.finished());
    rig.gone(Exit{true, 9}, 2);
    CHECK(rig.finished() == 3);
}

TEST_CASE("FATAL ends it by on_fatal: exit, when all essential are, or never") {
    Policy policy = plain();
    policy.start_limit = 1;
    SUBCASE("exit") {
        policy.on_fatal = OnFatal::exit;
        Rig rig{{{"a", policy, {}, 1}, {"b", plain(), {}, 1}}};
        rig.start();
        rig.up(1);
        rig.spawned(0);
        rig.gone(broken, 0);
        CHECK(rig.state(1) == State::stopping);
        rig.gone(clean, 1);
        CHECK(rig.finished() == 1);
    }
    SUBCASE("exit-when-all") {
        Rig rig{{{"a", policy, {}, 1}, {"b", policy, {}, 1}}};
        rig.start();
        rig.spawned(0);
        rig.gone(broken, 0);
        CHECK_FALSE(rig.finished());
        rig.spawned(1);
        rig.gone(broken, 1);
        CHECK(rig.finished() == 1);
    }
    SUBCASE("stay") {
        policy.on_fatal = OnFatal::stay;
        Rig rig{policy};
        rig.start();
        rig.spawned();
        rig.gone(broken);
        CHECK(rig.state() == State::fatal);
        CHECK_FALSE(rig.finished());
    }
}

TEST_CASE("an operator's stop of everything does not end the supervisor") {
    Rig rig{plain()};
    rig.start();
    rig.up();
    rig.post(StopWanted{});
    rig.gone(clean);
    CHECK(rig.state() == State::stopped);
    CHECK_FALSE(rig.finished());
}

TEST_CASE("I13: held restarts are let go one after the other when Redis is back") {
    Rig rig{{{"w", worker_policy(), {}, 10}}};
    rig.moment.redis_is_away = true;
    rig.start();
    for (std::uint32_t i = 0; i < 10; ++i) {
        rig.spawned(i);
        rig.gone(broken, i);
    }
    rig.moment.redis_is_away = false;
    rig.orders.clear();
    rig.fleet.redis_is_back(rig.moment);
    rig.pass(100ms);
    CHECK(rig.count<Spawn>() == 3);
    rig.pass(1s);
    CHECK(rig.count<Spawn>() == 10);
}

TEST_CASE(
    "workers wait behind the registry's gate, others do not, and the wait does not end the "
    "supervisor") {
    Rig rig{{{"once", once(), {}, 1}, {"w", worker_policy(), {}, 1}}};
    rig.fleet.close_registry_gate();
    rig.start();
    rig.up(0);
    rig.gone(clean, 0);
    CHECK(rig.state(1) == State::stopped);
    CHECK(rig.fleet.held_by(ProcessId{1}) == "waits for Redis");
    CHECK_FALSE(rig.finished());
    Actions actions;
    rig.fleet.open_registry_gate(rig.moment, actions);
    CHECK(rig.state(1) == State::starting);
}
