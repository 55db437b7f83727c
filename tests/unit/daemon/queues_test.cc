#include "daemon/queues.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "../loop/turns.h"

using namespace muster;
using namespace muster::daemon;
using namespace std::chrono_literals;
using core::RegistryKind;
using registry::Queue;

namespace {

const ProgramId shap{0};
const ProgramId mail{1};

// A Redis that answers when the test says so.
struct Rig {
    loop::Loop loop;
    std::vector<std::vector<Queue>> asked;
    registry::DepthsRead answer;
    int told = 0;
    Queues queues{loop, [this](const std::vector<Queue>& which, registry::DepthsRead done) {
                      asked.push_back(which);
                      answer = std::move(done);
                  }};

    void refresh(Duration fresh_for = 15s) {
        queues.refresh(fresh_for, [this] { ++told; });
    }
};

}  // namespace

TEST_CASE("the queues are looked at when somebody asks, once for all who ask meanwhile") {
    Rig rig;
    rig.refresh();
    CHECK(rig.told == 1);  // no queue is known
    CHECK(rig.asked.empty());
    rig.queues.met(shap, RegistryKind::rq, {"low", "high"});
    rig.queues.met(shap, RegistryKind::rq, {"high"});
    rig.queues.met(mail, RegistryKind::custom, {"whatever"});  // nobody knows where it is
    CHECK(rig.asked.empty());
    rig.refresh();
    rig.refresh();
    CHECK(rig.told == 1);
    REQUIRE(rig.asked.size() == 1);
    CHECK(rig.asked[0] ==
          std::vector<Queue>{{RegistryKind::rq, "high"}, {RegistryKind::rq, "low"}});
    CHECK_FALSE(rig.queues.view().age);
    rig.answer(registry::Depths{{{RegistryKind::rq, "high"}, 3}});
    CHECK(rig.told == 3);
    const auto view = rig.queues.view();
    REQUIRE(view.depths.size() == 1);
    CHECK(view.depths[0].registry == "rq");
    CHECK(view.depths[0].queue == "high");
    CHECK(view.depths[0].jobs == 3);
    CHECK(view.age);
    rig.refresh();  // fresh enough
    CHECK(rig.told == 4);
    CHECK(rig.asked.size() == 1);
    rig.refresh(0s);
    CHECK(rig.asked.size() == 2);
}

TEST_CASE("a Redis that hangs holds nobody up, and one that fails or goes is not known (I8)") {
    Rig rig;
    rig.queues.met(shap, RegistryKind::rq, {"high"});
    rig.refresh();
    eventually(rig.loop, [&] { return rig.told == 1; });
    CHECK(rig.told == 1);
    rig.refresh(0s);  // the look under way is late already
    CHECK(rig.told == 2);
    CHECK(rig.asked.size() == 1);
    rig.answer(registry::Depths{{{RegistryKind::rq, "high"}, 3}});  // better late than never
    CHECK(rig.queues.view().depths.size() == 1);
    rig.refresh(0s);
    rig.answer(Error{"refused"});
    CHECK(rig.told == 3);
    CHECK(rig.queues.view().depths.empty());
    rig.refresh();  // and is not asked in a hot loop
    CHECK(rig.asked.size() == 2);
    rig.refresh(0s);
    rig.answer(registry::Depths{{{RegistryKind::rq, "high"}, 3}});
    rig.queues.redis_is_away();
    CHECK(rig.queues.view().depths.empty());
    CHECK_FALSE(rig.queues.view().age);
}

TEST_CASE(
    "so many queues are looked at, those that a program is scaled by first; none with an odd "
    "name") {
    Rig rig;
    std::vector<std::string> names{"", std::string(201, 'x'), "\xff"};
    for (int i = 0; i < 70; ++i) names.push_back(fmt::format("a{:02}", i));
    rig.queues.met(shap, RegistryKind::rq, names);
    rig.queues.want(mail, RegistryKind::rq, {"z"});
    rig.refresh();
    REQUIRE(rig.asked.size() == 1);
    CHECK(rig.asked[0].size() == Queues::most_queues);
    CHECK(rig.asked[0].front().name == "z");
    CHECK(rig.queues.view().left_out == 7);
    rig.answer(registry::Depths{});
    rig.queues.forget(shap);
    CHECK(rig.queues.view().left_out == 0);
}

TEST_CASE("what a program is scaled by is the sum of its queues, or nothing") {
    Rig rig;
    rig.queues.want(shap, RegistryKind::rq, {"high", "low"});
    CHECK_FALSE(rig.queues.depth_for(shap, 15s));
    rig.refresh();
    rig.answer(registry::Depths{{{RegistryKind::rq, "high"}, 3}, {{RegistryKind::rq, "low"}, 4}});
    CHECK(rig.queues.depth_for(shap, 15s) == 7);
    CHECK_FALSE(rig.queues.depth_for(mail, 15s));
    rig.queues.want(shap, RegistryKind::rq, {"high", "new"});
    CHECK_FALSE(rig.queues.depth_for(shap, 15s));
    rig.refresh();  // at once: what was seen does not tell of the new one
    CHECK(rig.asked.size() == 2);
    rig.answer(registry::Depths{{{RegistryKind::rq, "high"}, 3}});  // the other is no queue
    CHECK_FALSE(rig.queues.depth_for(shap, 15s));
    rig.queues.want(shap, RegistryKind::rq, {});
    rig.refresh(0s);
    CHECK(rig.asked.size() == 2);
}
