#include "daemon/programs.h"

#include <doctest/doctest.h>

using namespace muster;
using namespace muster::daemon;

namespace {

config::Program program(std::string name, std::string word) {
    config::Program program;
    program.name = std::move(name);
    program.command = {"work", std::move(word)};
    return program;
}

}  // namespace

TEST_CASE("programs that differ in name and command only have their settings together") {
    Programs programs;
    for (std::uint32_t i = 0; i < 3; ++i)
        programs.put(ProgramId{i}, program("w" + std::to_string(i), std::to_string(i)));
    CHECK(programs.shared(ProgramId{0}) == programs.shared(ProgramId{2}));
    CHECK(&*programs.policy(ProgramId{0}) == &programs.settings(ProgramId{2}).policy);
    CHECK(programs.command(ProgramId{2}) == std::vector<std::string>{"work", "2"});
    CHECK(programs.as_configured(ProgramId{1}, "w1") == program("w1", "1"));
}

TEST_CASE("new settings are those of one program, and its lives keep the old ones") {
    Programs programs;
    programs.put(ProgramId{0}, program("a", "1"));
    programs.put(ProgramId{1}, program("b", "1"));
    const auto old = programs.shared(ProgramId{0});
    config::Program changed = program("a", "1");
    changed.user = "nobody";
    changed.policy.start_limit = 3;
    programs.put(ProgramId{0}, changed);
    CHECK(old->user.empty());
    CHECK(programs.settings(ProgramId{0}).user == "nobody");
    CHECK(programs.policy(ProgramId{0})->start_limit == 3);
    CHECK(programs.shared(ProgramId{1}) == old);
}

TEST_CASE("what a worker may be called is a setting that its command decides") {
    Programs programs;
    programs.put(ProgramId{0}, program("a", "--name={name}"));
    programs.put(ProgramId{1}, program("b", "--burst"));
    CHECK_FALSE(programs.settings(ProgramId{0}).may_choose_own_name);
    CHECK(programs.settings(ProgramId{1}).may_choose_own_name);
}
