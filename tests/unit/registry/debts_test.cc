#include "registry/debts.h"

#include <doctest/doctest.h>

#include <functional>

#include "../redis/rig.h"

using namespace muster;
using namespace std::chrono_literals;
using registry::Debts;
using registry::Release;
using registry::Released;
using test::run_until;

namespace {

struct Rig {
    struct Try {
        std::string name;
        TimePoint at;
        std::function<void(Result<Released>)> answer;
    };

    Rig()
        : debts(loop,
                {.release =
                     [this](const Release& release, std::function<void(Result<Released>)> done) {
                         tries.push_back({release.name, loop.now(), std::move(done)});
                     },
                 .is_reachable = [this] { return is_reachable; }},
                [this](const Release& release, const Released&) { paid.push_back(release.name); }) {
    }

    static Release death(const std::string& name, std::uint32_t incarnation = 1) {
        return {.process = ProcessId{0},
                .incarnation = Incarnation{incarnation},
                .name = name,
                .pid = Pid{42},
                .hostname = "box",
                .spawned_at = {},
                .registration = std::nullopt};
    }
    // Answers may make new tries: the callback is taken out first.
    void succeeds(std::size_t which) {
        const auto answer = std::exchange(tries.at(which).answer, nullptr);
        answer(Released{});
    }
    void fails(std::size_t which) {
        const auto answer = std::exchange(tries.at(which).answer, nullptr);
        answer(Error{"OOM command not allowed"});
    }
    bool has_tried(std::size_t times) {
        return run_until(loop, [&] { return tries.size() >= times; });
    }

    loop::Loop loop;
    bool is_reachable = true;
    std::vector<Try> tries;
    std::vector<std::string> paid;
    Debts debts;
};

}  // namespace

TEST_CASE("a debt is paid at once where Redis is there, and told once") {
    Rig rig;
    rig.debts.add(Rig::death("a"));
    REQUIRE(rig.tries.size() == 1);
    CHECK(rig.debts.count() == 1);
    CHECK(rig.debts.owes("a"));
    rig.succeeds(0);
    CHECK(rig.debts.count() == 0);
    CHECK(rig.paid == std::vector<std::string>{"a"});
}

TEST_CASE("while Redis is away nothing is tried; on its return all is, the oldest first") {
    Rig rig;
    rig.is_reachable = false;
    for (const char* name : {"a", "b", "c"}) rig.debts.add(Rig::death(name));
    rig.debts.pay_now();
    CHECK(rig.tries.empty());
    rig.is_reachable = true;
    rig.debts.pay_now();
    REQUIRE(rig.tries.size() == 3);
    CHECK(rig.tries[0].name == "a");
    CHECK(rig.tries[2].name == "c");
    rig.debts.pay_now();
    CHECK(rig.tries.size() == 3);  // they are on their way
}

TEST_CASE("a debt whose try was cut off by a loss is tried on the return") {
    Rig rig;
    rig.debts.add(Rig::death("a"));
    rig.is_reachable = false;
    rig.fails(0);
    CHECK(rig.debts.count() == 1);
    rig.is_reachable = true;
    rig.debts.pay_now();
    REQUIRE(rig.tries.size() == 2);
    rig.succeeds(1);
    CHECK(rig.debts.count() == 0);
}

TEST_CASE("after errors the pauses grow, and nothing is lost") {
    Rig rig;
    rig.debts.add(Rig::death("a"));
    rig.fails(0);
    CHECK(rig.debts.last_error() == "OOM command not allowed");
    rig.debts.add(Rig::death("b"));
    CHECK(rig.tries.size() == 1);  // the pause is everybody's
    REQUIRE(rig.has_tried(3));
    CHECK(rig.tries[1].at - rig.tries[0].at >= 250ms);
    CHECK(rig.tries[1].name == "a");
    rig.fails(1);
    rig.fails(2);
    REQUIRE(rig.has_tried(5));
    CHECK(rig.tries[3].at - rig.tries[1].at >= 500ms);
    rig.succeeds(3);
    rig.succeeds(4);
    CHECK(rig.debts.count() == 0);
    CHECK(rig.paid.size() == 2);
    CHECK(rig.debts.last_error().empty());
}

TEST_CASE("one debt that always fails does not keep the others from being paid") {
    Rig rig;
    rig.is_reachable = false;
    rig.debts.add(Rig::death("poison"));
    for (int i = 0; i < 100; ++i) rig.debts.add(Rig::death("w" + std::to_string(i)));
    rig.is_reachable = true;
    rig.debts.pay_now();
    REQUIRE(rig.tries.size() == Debts::most_in_flight);
    rig.fails(0);
    for (std::size_t i = 1; i < Debts::most_in_flight; ++i) rig.succeeds(i);
    REQUIRE(rig.has_tried(101));
    CHECK(rig.tries[Debts::most_in_flight].name == "w63");
    for (std::size_t i = Debts::most_in_flight; i < rig.tries.size(); ++i)
        if (rig.tries[i].name != "poison") rig.succeeds(i);
    CHECK(rig.debts.count() == 1);
    CHECK(rig.debts.owes("poison"));
}

TEST_CASE("at most so many are on their way at once, and an answer makes room for the next") {
    Rig rig;
    for (int i = 0; i < 100; ++i) rig.debts.add(Rig::death("w" + std::to_string(i)));
    CHECK(rig.tries.size() == Debts::most_in_flight);
    for (std::size_t i = 0; i < 100; ++i) rig.succeeds(i);
    CHECK(rig.debts.count() == 0);
    CHECK(rig.paid.size() == 100);
    CHECK(rig.paid.front() == "w0");
    CHECK(rig.paid.back() == "w99");
}

TEST_CASE("of one name the newest death counts") {
    Rig rig;
    rig.debts.add(Rig::death("a", 1));
    rig.debts.add(Rig::death("a", 2));
    CHECK(rig.debts.count() == 1);
    REQUIRE(rig.tries.size() == 2);
    rig.succeeds(0);  // the older one's answer pays nothing
    CHECK(rig.debts.count() == 1);
    CHECK(rig.paid.empty());
    rig.debts.add(Rig::death("a", 1));  // late news of an earlier life
    CHECK(rig.tries.size() == 2);
    rig.succeeds(1);
    CHECK(rig.debts.count() == 0);
    CHECK(rig.paid.size() == 1);
}

TEST_CASE("debts are bounded: the oldest is given up, and counted") {
    Rig rig;
    rig.is_reachable = false;
    for (std::size_t i = 0; i <= Debts::most_kept; ++i)
        rig.debts.add(Rig::death("w" + std::to_string(i)));
    CHECK(rig.debts.count() == Debts::most_kept);
    CHECK(rig.debts.given_up() == 1);
    CHECK_FALSE(rig.debts.owes("w0"));
    CHECK(rig.debts.owes("w1"));
}
