#include "daemon/autoscaler.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "../loop/turns.h"

using namespace muster;
using namespace muster::daemon;
using namespace std::chrono_literals;

namespace {

const ProgramId shap{0};
const ProgramId mail{1};

config::Autoscale rule(std::uint32_t min, std::uint32_t max, Duration down_after = 1s) {
    config::Autoscale autoscale;
    autoscale.min = min;
    autoscale.max = max;
    autoscale.jobs_per_process = 10;
    autoscale.down_after = down_after;
    autoscale.queues = {"jobs"};
    return autoscale;
}

struct Rig {
    loop::Loop loop;
    int looks = 0;
    std::optional<std::uint64_t> depth = 0;
    std::optional<std::uint32_t> size = 1;
    Result<std::uint32_t> busy = std::uint32_t{0};
    int asked_busy = 0;
    std::vector<std::string> resized;
    Autoscaler autoscaler{
        loop,
        15s,
        {.look =
             [this](Duration, const std::function<void()>& then) {
                 ++looks;
                 then();
             },
         .depth = [this](ProgramId) { return depth; },
         .size = [this](ProgramId) { return size; },
         .busy =
             [this](ProgramId, const std::function<void(Result<std::uint32_t>)>& done) {
                 ++asked_busy;
                 done(busy);
             },
         .resize =
             [this](ProgramId program, std::uint32_t to, const std::string& why) {
                 resized.push_back(fmt::format("{}: {} {}", program.value(), to, why));
                 size = to;
             }}};

    void look() {
        const int before = looks;
        autoscaler.look_now();
        REQUIRE(eventually(loop, [&] { return looks > before; }));
    }
};

}  // namespace

TEST_CASE("a queue that grows is met at once, and the reason is told") {
    Rig rig;
    some_turns(rig.loop);
    CHECK(rig.looks == 0);  // nobody wants it
    rig.autoscaler.want(shap, rule(1, 8));
    CHECK(rig.autoscaler.why(shap) == "its queues have not been looked at yet");
    rig.depth = 35;
    rig.look();
    REQUIRE(rig.resized.size() == 1);
    CHECK(rig.resized[0] == "0: 4 35 jobs wait, 10 for each process: 4 needed (1 to 8)");
    CHECK(rig.asked_busy == 0);  // nothing is too much
    CHECK(rig.autoscaler.why(mail).empty());
    CHECK(rig.autoscaler.programs() == std::vector{shap});
}

TEST_CASE("who is busy is asked when the size may be too much, and counts") {
    Rig rig;
    rig.size = 4;
    rig.busy = std::uint32_t{3};
    rig.depth = 1;
    rig.autoscaler.want(shap, rule(1, 8, 1h));
    rig.look();
    CHECK(rig.asked_busy == 1);
    CHECK(rig.resized.empty());
    CHECK(rig.autoscaler.why(shap) ==
          "1 job waits, 10 for each process, 3 busy: 3 needed (1 to 8); shrinks in 1h where that "
          "stays so");
    rig.busy = Error{"Redis is away"};
    rig.look();
    CHECK(rig.autoscaler.why(shap) == "nobody knows how many jobs wait, so it stays (1 to 8)");
}

TEST_CASE("it shrinks by its own looks, which come often where down_after is short") {
    Rig rig;
    rig.size = 4;
    rig.busy = std::uint32_t{2};
    rig.autoscaler.want(shap, rule(1, 8));
    REQUIRE(eventually(rig.loop, [&] { return !rig.resized.empty(); }));
    CHECK(rig.resized[0] == "0: 2 0 jobs wait, 10 for each process, 2 busy: 2 needed (1 to 8)");
    CHECK(core::looked_at_each(15s, rule(1, 8, 5min)) == 15s);
    CHECK(core::looked_at_each(15s, rule(1, 8, 20s)) == 5s);
    CHECK(core::looked_at_each(15s, rule(1, 8, 1s)) == 1s);
}

TEST_CASE("while nobody knows, or none of it is wanted, the size stays (I13)") {
    Rig rig;
    rig.size = 4;
    rig.depth.reset();
    rig.autoscaler.want(shap, rule(1, 8));
    rig.look();
    CHECK(rig.asked_busy == 0);
    rig.depth = 1000;
    rig.size.reset();
    rig.look();
    CHECK(rig.autoscaler.why(shap) == "none of it is wanted now, so it stays");
    CHECK(rig.resized.empty());
}

TEST_CASE("a new rule acts at once, and without one nobody looks any more") {
    Rig rig;
    rig.size = 4;
    rig.depth.reset();
    rig.autoscaler.want(shap, rule(1, 8));
    rig.look();
    rig.autoscaler.want(shap, rule(1, 8));  // the same
    rig.autoscaler.want(shap, rule(1, 2));
    REQUIRE(eventually(rig.loop, [&] { return !rig.resized.empty(); }));
    CHECK(rig.resized[0].starts_with("0: 2 "));
    rig.autoscaler.want(shap, std::nullopt);
    CHECK(rig.autoscaler.why(shap).empty());
    const int looks = rig.looks;
    rig.autoscaler.look_now();
    some_turns(rig.loop);
    CHECK(rig.looks == looks);
}
