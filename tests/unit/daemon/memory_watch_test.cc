#include "daemon/memory_watch.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>

using namespace muster;
using namespace muster::daemon;

namespace {

struct Watching {
    loop::Loop loop;
    std::vector<std::string> told;
    MemoryWatch watch{
        loop,
        {[] { return std::vector<MemoryWatch::Watched>{}; },
         [this](const MemoryWatch::Watched& who, std::uint64_t bytes, MemoryWatch::Excess excess) {
             told.push_back(fmt::format("{}/{} {} {}", who.process.value(), who.who.value(), bytes,
                                        excess == MemoryWatch::Excess::hard ? "hard" : "soft"));
         }}};

    void sees(std::uint64_t bytes,
              std::uint32_t incarnation = 1,
              config::Memory limit = {100, 200}) {
        watch.judge({{ProcessId{7}, Incarnation{incarnation}, Pid{42}, limit}}, {bytes});
    }
};

}  // namespace

TEST_CASE_FIXTURE(Watching, "the soft limit is told after two looks in a row, once for each life") {
    sees(101);
    sees(99);
    sees(101);
    CHECK(told.empty());
    sees(102);
    sees(103);
    CHECK(told == std::vector<std::string>{"7/1 102 soft"});
    sees(150, 2);
    sees(150, 2);
    CHECK(told.back() == "7/2 150 soft");
    CHECK(told.size() == 2);
}

TEST_CASE_FIXTURE(Watching, "the hard limit is told at the first look, once for each life") {
    sees(201);
    sees(202);
    sees(203, 2);
    CHECK(told == std::vector<std::string>{"7/1 201 hard", "7/2 203 hard"});
}

TEST_CASE_FIXTURE(Watching, "a limit that is not there is not passed") {
    for (int i = 0; i < 3; ++i) sees(1U << 30U, 1, {0, 0});
    for (int i = 0; i < 3; ++i) sees(150, 2, {0, 200});
    CHECK(told.empty());
    sees(300, 3, {0, 200});
    for (int i = 0; i < 3; ++i) sees(300, 4, {200, 0});
    CHECK(told == std::vector<std::string>{"7/3 300 hard", "7/4 300 soft"});
}
