// Random sequences of events against a fleet, and what must hold after each of them. The world
// answers orders late, in any order, or with failures, but never invents a death.

#include <doctest/doctest.h>

#include <map>
#include <random>

#include "rig.h"

using namespace muster;
using namespace muster::core;
using namespace std::chrono_literals;

namespace {

enum class Life : std::uint8_t { ordered, alive, dead, ended, released };

struct World {
    Rig rig;
    std::mt19937 random;
    std::map<std::pair<std::uint32_t, std::uint32_t>, Life> lives;
    std::map<std::uint32_t, bool> has_been_released;
    bool is_shutting_down = false;

    World(std::vector<ProgramPlan> plans, std::uint32_t seed)
        : rig(std::move(plans)), random(seed) {}

    std::uint32_t pick(std::uint32_t n) {
        return std::uniform_int_distribution<std::uint32_t>{0, n - 1}(random);
    }

    void obey() {
        const std::vector<Order> orders = std::exchange(rig.orders, {});
        for (const Order& order : orders) {
            if (const auto* spawn = std::get_if<Spawn>(&order)) {
                CHECK_FALSE(is_shutting_down);
                for (const auto& [key, life] :
                     lives) {  // I1: the last life is over, family and all
                    if (key.first == spawn->process.value()) CHECK(life >= Life::ended);
                }
                lives[{spawn->process.value(), spawn->who.value()}] = Life::ordered;
            } else if (const auto* release = std::get_if<ReleaseName>(&order)) {
                Life& life = lives.at({release->process.value(), release->who.value()});
                CHECK(life == Life::ended);  // I6: once, and not before the family has ended
                life = Life::released;
            } else if (const auto* end = std::get_if<EndFamily>(&order)) {
                CHECK(lives.at({end->process.value(), end->who.value()}) == Life::dead);
            }
        }
    }

    void news() {
        if (lives.empty()) return;
        auto at = std::next(lives.begin(), pick(static_cast<std::uint32_t>(lives.size())));
        const std::uint32_t process = at->first.first;
        const Incarnation who{at->first.second};
        switch (at->second) {
            case Life::ordered:
                if (pick(4) == 0) {
                    at->second = Life::released;
                    rig.post(SpawnFailed{who, pick(2) == 0}, process);
                } else {
                    at->second = Life::alive;
                    rig.post(Spawned{who}, process);
                }
                break;
            case Life::alive:
                if (pick(2) == 0) return rig.post(BecameReady{who}, process);
                at->second = Life::dead;
                rig.post(ChildExited{who, pick(2) == 0 ? Exit{true, 9}
                                                       : Exit{false, static_cast<int>(pick(2))}},
                         process);
                break;
            case Life::dead:
                at->second = Life::ended;
                rig.post(FamilyEnded{who, false}, process);
                break;
            case Life::ended:
            case Life::released:
                rig.post(NameReleased{who}, process);
                break;
        }
    }

    void step() {
        const std::uint32_t process = pick(rig.fleet.size());
        switch (pick(12)) {
            case 0:
                rig.post(StartWanted{}, process);
                break;
            case 1:
                rig.post(StopWanted{}, process);
                break;
            case 2:
                rig.post(RestartWanted{}, process);
                break;
            case 3:
                rig.pass(Duration{pick(40'000'000) * 1000LL});
                break;
            case 4:
                rig.pass(500ms);
                break;
            case 5:
                rig.moment.redis_is_away = pick(2) == 0;
                break;
            default:
                news();
        }
        rig.moment.dice = pick(1000) / 1000.0;
        obey();
    }
};

}  // namespace

TEST_CASE("I1, I3, I6 hold in random histories, and a shutdown always ends") {
    for (std::uint32_t seed = 1; seed <= 300; ++seed) {
        CAPTURE(seed);
        Policy worker = worker_policy();
        worker.start_limit = 4;
        worker.on_fatal = OnFatal::stay;
        World world{{{"redis", worker, {}, 1}, {"w", worker, {{"redis", Condition::ready}}, 3}},
                    seed};
        world.rig.start();
        world.obey();
        for (int i = 0; i < 200; ++i) world.step();
        world.is_shutting_down = true;
        world.rig.shut_down();
        std::optional<int> status = world.rig.finished();
        for (int i = 0; i < 5000 && !status; ++i) {
            world.news();
            if (i % 10 == 0) world.rig.pass(1s);
            status = world.rig.finished();
            world.obey();
        }
        CHECK(status == 0);
    }
}
