#include <algorithm>

#include "config/print.h"
#include "fixture.h"

namespace muster::config {
namespace {

const std::string two = "[program.a]\ncommand = \"x\"\n[program.b]\ncommand = \"x\"\n";

TEST_CASE("a group names programs and has a priority, which is theirs") {
    const Config config = loaded(two +
                                 "priority = 20\n[program.c]\ncommand = \"x\"\npriority = 7\n"
                                 "[group.g]\nprograms = [\"b\", \"a\"]\npriority = 5\n");
    REQUIRE(config.groups.size() == 1);
    CHECK(config.groups[0] == Group{"g", {"b", "a"}, 5});
    const auto priorities = priorities_of(config);
    CHECK(priorities == std::vector<core::Priority>{{5, 999}, {5, 20}, {7, 7}});
    CHECK(has(printed(config), "[group.g]\nprograms = [\"b\", \"a\"]\npriority = 5\n"));
    CHECK(has(printed(config), "priority = 20\n"));
    CHECK(loaded(printed(config)).groups == config.groups);
}

TEST_CASE("what is wrong with a group is told with its place") {
    CHECK(complaint(two + "[group.g]\nprograms = [\"a\", \"bb\"]") ==
          "m.toml:6:18: group.g: there is no program 'bb'; did you mean b?");
    CHECK(complaint(two + "[group.g]\npriority = 3") == "m.toml:5:8: group.g: has no programs");
    CHECK(complaint(two + "[group.a]\nprograms = []") ==
          "m.toml:5:8: group.a: there is a program of this name");
    CHECK(has(complaint(two + "processes = 2\n[group.b_01]\nprograms = []"),
              "group.b_01: program b has a process of this name"));
    CHECK(complaint(two + "[group.g]\nprograms = [\"a\"]\n[group.h]\nprograms = [\"a\"]") ==
          "m.toml:8:13: group.h: program a is in group g already");
    CHECK(has(complaint(two + "[group.all]\nprograms = []"), "'all' means all programs"));
    CHECK(has(complaint(two + "[group.g]\nprograms = []\npriorty = 1"), "did you mean priority?"));
    CHECK(has(complaint(two + "priority = -2"), "priority"));
}

TEST_CASE("what starts after another has the same priority or a higher one") {
    CHECK(complaint(two + "after = [\"a\"]\npriority = 1000").empty());
    CHECK(complaint(two + "after = [\"a\"]\npriority = 5") ==
          "m.toml:5:10: program.b.after: a has priority 999, and this 5: what starts first has the "
          "lower number, or the same");
    CHECK(complaint(two + "after = [\"a\"]\npriority = 5\n"
                          "[group.g]\nprograms = [\"a\", \"b\"]")
              .empty());
}

TEST_CASE("max_age and memory") {
    const Program p = program("max_age = \"24h\"\nmemory = { soft = \"400MB\", hard = \"512MB\" }");
    CHECK(p.policy.max_age == std::chrono::hours{24});
    CHECK(p.memory == Memory{400'000'000, 512'000'000});
    CHECK(has(printed(p), "max_age = \"24h\"\nmemory = { soft = 400000000, hard = 512000000 }\n"));
    CHECK(p.policy.drain == Duration{});
    CHECK(loaded("[redis]\nurl = \"redis://h\"\n" + with("registry = \"rq\""))
              .programs[0]
              .policy.drain == std::chrono::minutes{10});
    CHECK(program("drain = \"3s\"").policy.drain == std::chrono::seconds{3});
    CHECK(has(complaint_of("max_age = \"10ms\""), "must be 1s or longer"));
    CHECK(has(complaint_of("memory = { soft = \"2MB\", hard = \"1MiB\" }"), "soft must be less"));
    CHECK(has(complaint_of("memory = { soft = 5 }"), "must be 1MiB or more"));
    CHECK(has(complaint_of("memory = { max = 5 }"), "did you mean hard?"));
}

}  // namespace
}  // namespace muster::config
