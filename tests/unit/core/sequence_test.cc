// Random histories of a fleet, each from its own seed.

#include <doctest/doctest.h>

#include <random>

#include "history.h"

using namespace muster;
using namespace muster::core;

namespace {

// The choices of one history, and its claims as doctest's.
struct Seeded {
    explicit Seeded(std::uint32_t seed) : random(seed) {}

    History history(std::vector<ProgramPlan> plans) {
        return {std::move(plans),
                [this](std::uint32_t n) {
                    return std::uniform_int_distribution<std::uint32_t>{0, n - 1}(random);
                },
                [](bool is_so, const char* what) { CHECK_MESSAGE(is_so, what); }};
    }
    std::mt19937 random;
};

Policy stubborn_policy() {
    Policy worker = worker_policy();
    worker.start_limit = 4;
    worker.on_fatal = OnFatal::stay;
    return worker;
}

}  // namespace

TEST_CASE("I1, I3, I6 hold in random histories, and a shutdown always ends") {
    const Policy worker = stubborn_policy();
    for (std::uint32_t seed = 1; seed <= 300; ++seed) {
        CAPTURE(seed);
        Seeded choices{seed};
        History history = choices.history(
            {{"redis", worker, {}, 1}, {"w", worker, {{"redis", Condition::ready}}, 3}});
        history.start();
        for (int i = 0; i < 200; ++i) history.step();
        CHECK(history.end() == 0);
    }
}

TEST_CASE("so they do where names are claimed, orphans are left and the fleet may end by itself") {
    Policy beat = stubborn_policy();
    beat.claims_name = true;
    Policy mail = stubborn_policy();
    mail.orphans = Orphans::leave;
    mail.on_fatal = OnFatal::exit;
    Policy migrate;
    migrate.restart = Restart::on_failure;
    migrate.stop = beat.stop;
    for (std::uint32_t seed = 1; seed <= 300; ++seed) {
        CAPTURE(seed);
        Seeded choices{seed};
        History history = choices.history({{"migrate", migrate, {}, 1},
                                           {"beat", beat, {{"migrate", Condition::succeeded}}, 1},
                                           {"mail", mail, {{"migrate", Condition::started}}, 2}});
        history.start();
        for (int i = 0; i < 200; ++i) history.step();
        CHECK(history.end().has_value());
    }
}
