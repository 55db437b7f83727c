#include "reference/verbs.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

namespace muster::reference {
namespace {

Verb verb_called(const std::string& name) {
    for (Verb& verb : all_verbs()) {
        if (verb.name == name) return std::move(verb);
    }
    FAIL("no verb " << name);
    return {};
}

TEST_CASE("every verb, option and word says what it is") {
    const auto verbs = all_verbs();
    CHECK(verbs.size() >= 22);
    for (const Verb& verb : verbs) {
        CHECK_MESSAGE(!verb.does.empty(), verb.name);
        for (const Option& option : verb.options) {
            CHECK_MESSAGE(!option.does.empty(), verb.name << " " << spelling_of(option));
            CHECK_MESSAGE(option.value != "TEXT", verb.name << " " << spelling_of(option));
            CHECK_MESSAGE(option.value != "INT", verb.name << " " << spelling_of(option));
        }
        for (const Option& word : verb.words) CHECK_MESSAGE(!word.does.empty(), verb.name);
    }
}

TEST_CASE("options and words are read from the command line's own definition") {
    CHECK(usage_of(verb_called("start")) == "start [OPTIONS] SEL...");
    CHECK(usage_of(verb_called("status")) == "status [OPTIONS] [SEL...]");
    CHECK(usage_of(verb_called("signal")) == "signal [OPTIONS] SIG SEL...");
    CHECK(usage_of(verb_called("scale")) == "scale [OPTIONS] SIZE...");
    CHECK(usage_of(verb_called("import")) == "import [OPTIONS] FILE");
    CHECK(usage_of(verb_called("run")) == "run [OPTIONS] [-- COMMAND...]");
    const Verb run = verb_called("run");
    const auto restart =
        std::find_if(run.options.begin(), run.options.end(),
                     [](const Option& option) { return option.names.front() == "--restart"; });
    REQUIRE(restart != run.options.end());
    CHECK(choices_of(*restart) == std::vector<std::string>{"always", "on-failure", "never"});
    const auto processes =
        std::find_if(run.options.begin(), run.options.end(),
                     [](const Option& option) { return option.names.front() == "-n"; });
    REQUIRE(processes != run.options.end());
    CHECK(spelling_of(*processes) == "-n, --processes N");
}

}  // namespace
}  // namespace muster::reference
