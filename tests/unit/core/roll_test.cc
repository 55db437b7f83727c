// Rolling restarts, scaling and reloads: programs and processes that come and go.

#include <doctest/doctest.h>

#include "rig.h"

using namespace muster;
using namespace muster::core;
using namespace std::chrono_literals;

namespace {

constexpr Exit clean{false, 0};
constexpr Exit broken{false, 3};
constexpr Exit by_term{true, 15};

Policy plain() {
    Policy policy = worker_policy();
    policy.has_registry = false;
    return policy;
}

using Words = std::vector<std::string>;

struct Three {
    Rig rig{{{"shap", plain(), {}, 3}}};
    Three() {
        rig.start();
        for (std::uint32_t i = 0; i < 3; ++i) rig.up(i);
        rig.orders.clear();
    }
};

std::vector<ProcessId> ids(std::initializer_list<std::uint32_t> numbers) {
    std::vector<ProcessId> all;
    for (const std::uint32_t number : numbers) all.emplace_back(number);
    return all;
}

}  // namespace

TEST_CASE_FIXTURE(Three,
                  "a roll replaces one process at a time, the next when the new one is ready") {
    const RollId roll = rig.roll({0, 1, 2});
    CHECK(rig.state(0) == State::stopping);
    rig.gone(by_term, 0);
    CHECK(rig.state(0) == State::starting);
    rig.spawned(0);
    CHECK(rig.state(1) == State::running);  // N-1 are ready, and never fewer
    rig.ready(0);
    CHECK(rig.state(1) == State::stopping);
    rig.gone(by_term, 1);
    rig.up(1);
    rig.gone(by_term, 2);
    CHECK_FALSE(rig.rolled(roll).back().ends_with('.'));
    rig.up(2);
    CHECK(rig.rolled(roll) == Words{"0 replaced", "1 replaced", "2 replaced."});
    CHECK(rig.count<Spawn>() == 3);
}

TEST_CASE_FIXTURE(Three,
                  "a roll stops at the first new life that is bad and leaves the others up") {
    const RollId roll = rig.roll({0, 1, 2});
    rig.gone(by_term, 0);
    rig.spawned(0);
    rig.gone(broken, 0);  // before it was ready
    CHECK(rig.rolled(roll) == Words{"0 is-bad", "1 not-reached", "2 not-reached."});
    rig.pass(1min);
    CHECK(rig.state(1) == State::running);
    CHECK(rig.state(2) == State::running);
    CHECK(rig.who(1) == Incarnation{1});
}

TEST_CASE_FIXTURE(Three, "a roll waits while another of the program is between two lives") {
    rig.dies(broken, 2);
    const RollId roll = rig.roll({0});
    CHECK(rig.state(0) == State::running);
    rig.family_ends(2);
    rig.up(2);
    CHECK(rig.state(0) == State::stopping);
    rig.gone(by_term, 0);
    rig.up(0);
    CHECK(rig.rolled(roll) == Words{"0 replaced."});
}

TEST_CASE("a roll does not take down what is left of a program that is partly FATAL") {
    Policy policy = plain();
    policy.start_limit = 1;
    policy.on_fatal = OnFatal::stay;
    Rig rig{{{"shap", policy, {}, 2}}};
    rig.start();
    rig.up(0);
    rig.spawned(1);
    rig.gone(broken, 1);
    REQUIRE(rig.state(1) == State::fatal);
    CHECK(rig.rolled(rig.roll({0})) == Words{"0 blocked."});
    CHECK(rig.state(0) == State::running);
    // With it: what is down already costs nobody, and goes first.
    const RollId roll = rig.roll({0, 1});
    CHECK(rig.state(1) == State::starting);
    rig.up(1);
    rig.gone(by_term, 0);
    rig.up(0);
    CHECK(rig.rolled(roll) == Words{"1 replaced", "0 replaced."});
}

TEST_CASE_FIXTURE(Three, "a later stop wins over a roll, which goes on with the others") {
    rig.post(StopWanted{}, 1);
    rig.gone(by_term, 1);
    const RollId roll = rig.roll({0, 1, 2});
    rig.post(StopWanted{}, 0);
    rig.gone(by_term, 0);
    CHECK(rig.state(0) == State::stopped);
    rig.gone(by_term, 2);
    rig.up(2);
    CHECK(rig.rolled(roll) == Words{"1 is-down", "0 was-stopped", "2 replaced."});
}

TEST_CASE_FIXTURE(Three, "a later roll takes over what an earlier one has not reached") {
    const RollId first = rig.roll({0, 1, 2});
    const RollId second = rig.roll({1, 2});
    CHECK(rig.rolled(first) == Words{"1 taken-over", "2 taken-over"});
    for (std::uint32_t i = 0; i < 3; ++i) {
        rig.gone(by_term, i);
        rig.up(i);
    }
    CHECK(rig.rolled(first).back() == "0 replaced.");
    CHECK(rig.rolled(second) == Words{"1 replaced", "2 replaced."});
    CHECK(rig.count<Spawn>() == 3);
}

TEST_CASE_FIXTURE(Three, "what has a new life anyway is not restarted again by a roll") {
    const RollId roll = rig.roll({0, 1});
    rig.dies(broken, 1);
    rig.family_ends(1);
    rig.up(1);
    rig.gone(by_term, 0);
    rig.up(0);
    CHECK(rig.rolled(roll) == Words{"0 replaced", "1 replaced."});
    CHECK(rig.count<Spawn>() == 2);
}

TEST_CASE_FIXTURE(Three, "I13: a roll waits for Redis and calls nobody bad for its sake") {
    Policy policy = worker_policy();
    Rig other{{{"shap", policy, {}, 2}}};
    other.start();
    other.up(0);
    other.up(1);
    const RollId roll = other.roll({0, 1});
    other.moment.redis_is_away = true;
    other.gone(by_term, 0);
    other.spawned(0);
    other.gone(broken, 0);
    CHECK(other.rolled(roll).empty());
    CHECK(other.state(1) == State::running);
}

TEST_CASE_FIXTURE(Three, "the shutdown ends a roll") {
    const RollId roll = rig.roll({0, 1, 2});
    rig.shut_down();
    rig.gone(by_term, 0);
    CHECK(rig.rolled(roll) == Words{"0 was-stopped", "1 not-reached", "2 not-reached."});
    rig.gone(by_term, 1);
    rig.gone(by_term, 2);
    CHECK(rig.finished() == 0);
}

TEST_CASE_FIXTURE(Three,
                  "scaling touches only the difference; who goes first is the caller's choice") {
    auto resized = rig.resize(0, 2, ids({1}));
    CHECK(resized.leaving == ids({1}));
    CHECK(rig.state(1) == State::stopping);
    rig.post(StartWanted{}, 1);  // what is leaving cannot be called back by a start
    rig.gone(by_term, 1);
    CHECK(rig.count<Forget>() == 1);
    CHECK(rig.count<Spawn>() == 0);
    CHECK_FALSE(rig.fleet.is_there(ProcessId{1}));
    CHECK(rig.fleet.processes_of(ProgramId{0}) == ids({0, 2}));
    resized = rig.resize(0, 4);
    CHECK(resized.added == ids({1, 3}));  // the free index has its old id again
    CHECK(rig.fleet.index_of(ProcessId{3}) == 3);
    CHECK(rig.state(1) == State::starting);
    CHECK(rig.who(1) == Incarnation{2});  // I7: an id's lives are counted on
    CHECK(rig.who(0) == Incarnation{1});
    resized = rig.resize(0, 1);
    CHECK(resized.leaving == ids({3, 2, 1}));
}

TEST_CASE_FIXTURE(Three, "scaling up again takes back who is still being stopped") {
    rig.resize(0, 2, ids({0}));
    const auto resized = rig.resize(0, 3);
    CHECK(resized.added == ids({0}));
    rig.gone(by_term, 0);
    CHECK(rig.state(0) == State::starting);
    CHECK(rig.count<Forget>() == 0);
}

TEST_CASE_FIXTURE(Three, "a program that was stopped grows by stopped processes") {
    for (std::uint32_t i = 0; i < 3; ++i) {
        rig.post(StopWanted{}, i);
        rig.gone(by_term, i);
    }
    rig.resize(0, 4);
    CHECK(rig.state(3) == State::stopped);
    CHECK(rig.count<Spawn>() == 0);
}

TEST_CASE("a program without numbers keeps its process when it grows, and not when it is renamed") {
    Rig rig{{{"beat", plain(), {}, 1, false}}};
    rig.start();
    rig.up();
    rig.orders.clear();
    CHECK(rig.resize(0, 2, {}, false).added == ids({1}));
    CHECK(rig.fleet.is_numbered(ProcessId{1}));
    CHECK(rig.state(0) == State::running);
    const auto resized = rig.resize(0, 2, {}, true);  // processes = 2 in the file: beat_00, beat_01
    CHECK(resized.leaving == ids({0}));
    CHECK(resized.added == ids({2}));
}

TEST_CASE("programs that leave together are stopped in reverse order; the others stay") {
    Rig rig{{{"redis", plain(), {}, 1},
             {"work", plain(), {{"redis", Condition::ready}}, 2},
             {"other", plain(), {}, 1}}};
    rig.start();
    for (std::uint32_t i = 0; i < 4; ++i) rig.up(i);
    rig.remove({ProgramId{0}, ProgramId{1}});
    CHECK(rig.state(0) == State::running);
    rig.gone(by_term, 1);
    CHECK(rig.state(0) == State::running);
    rig.gone(by_term, 2);
    CHECK(rig.state(0) == State::stopping);
    rig.gone(by_term, 0);
    CHECK(rig.count<Forget>() == 3);
    CHECK(rig.state(3) == State::running);
    CHECK_FALSE(rig.fleet.is_there(ProgramId{0}));
    // The same name again is the same program, with the same ids.
    rig.put({"redis", plain(), {}, 1});
    CHECK(rig.resize(0, 1).added == ids({0}));
    CHECK(rig.state(0) == State::starting);
    CHECK(rig.who(0) == Incarnation{2});
}

TEST_CASE("taking the last running program away does not end the supervisor") {
    Policy once = plain();
    once.restart = Restart::never;
    Rig rig{{{"once", once, {}, 1}, {"work", plain(), {}, 1}}};
    rig.start();
    rig.up(0);
    rig.gone(clean, 0);
    rig.up(1);
    rig.remove({ProgramId{1}});
    rig.gone(by_term, 1);
    CHECK_FALSE(rig.finished());
}

TEST_CASE("new settings are those of lives under way, too, and restart nobody") {
    Rig rig{plain()};
    rig.start();
    rig.up();
    Policy patient = plain();
    patient.stop = {{SignalNumber{2}, 5s}, {SignalNumber{15}, 5s}, {SignalNumber{9}, {}}};
    rig.put({"shap", patient, {}, 1});
    CHECK(rig.state() == State::running);
    rig.post(StopWanted{});
    rig.pass(5s);                       // the second step: TERM has been sent
    rig.put({"shap", plain(), {}, 1});  // which has only two
    rig.orders.clear();
    rig.pass(5s);
    REQUIRE(rig.count<SendSignal>() == 1);  // KILL is never left out
    CHECK(std::get<SendSignal>(rig.orders.front()).signal == SignalNumber{9});
    CHECK(rig.who() == Incarnation{1});
}

TEST_CASE("I5: a life that began with a registry is released, whatever the file says by now") {
    Rig rig{worker_policy()};
    rig.start();
    rig.up();
    rig.put({"shap", plain(), {}, 1});
    rig.dies(broken);
    rig.family_ends();
    CHECK(rig.count<ReleaseName>() == 1);
    rig.name_released();
    CHECK(rig.state() == State::starting);
}

TEST_CASE("what waited for a program that is no longer asked for is started") {
    Rig rig{{{"redis", plain(), {}, 1}, {"work", plain(), {{"redis", Condition::ready}}, 1}}};
    rig.start();
    CHECK(rig.state(1) == State::stopped);
    rig.put({"work", plain(), {}, 1});
    CHECK(rig.state(1) == State::starting);
}

TEST_CASE("max_age: a life that is old enough is replaced, and not all together") {
    Policy policy = plain();
    policy.max_age = 100s;
    Rig rig{{{"shap", policy, {}, 2}}};
    rig.start();
    rig.moment.dice = 0;
    rig.up(0);
    rig.moment.dice = 0.99;
    rig.up(1);
    rig.pass(79s);
    CHECK(rig.state(1) == State::running);
    rig.pass(2s);
    CHECK(rig.state(1) == State::stopping);
    CHECK(rig.transitions.back().cause == Cause::too_old);
    rig.pass(20s);
    CHECK(rig.state(0) == State::running);  // old too, but one at a time
    rig.gone(by_term, 1);
    rig.up(1);
    CHECK(rig.state(0) == State::stopping);
    rig.gone(by_term, 0);
    rig.up(0);
    // A limit that comes by a reload counts from the life's beginning.
    rig.pass(50s);
    policy.max_age = 51s;
    rig.moment.dice = 0;
    rig.put({"shap", policy, {}, 2});
    rig.pass(2s);
    CHECK(std::ranges::count(rig.transitions, Cause::too_old, &Transition::cause) == 3);
}

TEST_CASE_FIXTURE(Three, "what has grown too big is replaced one at a time, far too big at once") {
    rig.post(RecyclingWanted{rig.who(0), Renewal::too_big}, 0);
    rig.post(RecyclingWanted{rig.who(1), Renewal::too_big}, 1);
    CHECK(rig.state(0) == State::stopping);
    CHECK(rig.state(1) == State::running);
    rig.post(RenewalWanted{rig.who(2), Renewal::far_too_big}, 2);
    CHECK(rig.state(2) == State::stopping);
    rig.gone(by_term, 0);
    rig.up(0);
    CHECK(rig.state(1) == State::running);  // 2 is not back yet
    rig.gone(by_term, 2);
    rig.up(2);
    CHECK(rig.state(1) == State::stopping);
}

TEST_CASE("priorities: started in ascending order, ended group by group in descending order") {
    Rig rig{{{"late", plain(), {}, 1, true, {.group = 20}},
             {"early", plain(), {}, 1, true, {.group = 10}},
             {"later", plain(), {}, 1, true, {.group = 20, .own = 1}}}};
    rig.start();
    std::vector<std::uint32_t> started;
    for (const Order& order : rig.orders) started.push_back(std::get<Spawn>(order).process.value());
    CHECK(started == std::vector<std::uint32_t>{1, 2, 0});
    for (std::uint32_t i = 0; i < 3; ++i) rig.up(i);
    rig.shut_down();
    CHECK(rig.state(0) == State::stopping);
    CHECK(rig.state(2) == State::stopping);
    CHECK(rig.state(1) == State::running);
    rig.gone(by_term, 0);
    CHECK(rig.state(1) == State::running);
    rig.gone(by_term, 2);
    CHECK(rig.state(1) == State::stopping);
    rig.gone(by_term, 1);
    CHECK(rig.finished() == 0);
}

TEST_CASE("what is replaced or scaled away may finish its work; an operator's stop hastens it") {
    Policy policy = plain();
    policy.drain = 10min;
    Rig rig{{{"shap", policy, {}, 3}}};
    rig.start();
    for (std::uint32_t i = 0; i < 3; ++i) rig.up(i);
    rig.roll({0});
    rig.resize(0, 2);
    rig.orders.clear();
    rig.pass(9min);
    CHECK(rig.count<SendSignal>() == 0);
    rig.pass(2min);
    CHECK(rig.count<SendSignal>() == 2);  // KILL, to both
    rig.gone(Exit{true, 9}, 0);
    rig.up(0);
    rig.roll({1});
    rig.orders.clear();
    rig.post(StopWanted{}, 1);
    rig.pass(24s);
    CHECK(rig.count<SendSignal>() == 0);  // its own steps: TERM 25s
    rig.pass(1s);
    CHECK(rig.count<SendSignal>() == 1);
    CHECK(rig.state(1) == State::stopping);
}

TEST_CASE("a roll that waits is ended by the shutdown at once, not by what comes after it") {
    Rig rig{{{"shap", plain(), {}, 2}}};
    rig.start();
    rig.spawned(0);
    rig.spawned(1);
    const RollId roll = rig.roll({0});  // the other one is not ready yet
    CHECK(rig.rolled(roll).empty());
    rig.shut_down();
    CHECK(rig.rolled(roll) == Words{"0 not-reached."});
}
