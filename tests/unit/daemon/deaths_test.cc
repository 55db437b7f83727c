#include "daemon/deaths.h"

#include <doctest/doctest.h>

using namespace muster;
using namespace muster::daemon;
using core::Cause;
using core::State;

namespace {

control::Death death_of(std::uint32_t incarnation) {
    control::Death death;
    death.incarnation = incarnation;
    return death;
}

core::Transition transition(State from, State to, Cause cause, std::uint32_t who = 1) {
    return {ProcessId{0}, Incarnation{who}, from, to, cause, {}, Duration{7}};
}

}  // namespace

TEST_CASE("the last five deaths are kept") {
    Deaths deaths;
    for (std::uint32_t i = 1; i <= 7; ++i) deaths.add(death_of(i));
    CHECK(deaths.all().size() == Deaths::most_kept);
    CHECK(deaths.all().front().incarnation == 3);
    CHECK(deaths.find(Incarnation{2}) == nullptr);
    REQUIRE(deaths.find(Incarnation{7}) != nullptr);
    CHECK(deaths.find(Incarnation{7})->incarnation == 7);
}

TEST_CASE("a death is told where it led to, and of nothing else") {
    Deaths deaths;
    deaths.shown(transition(State::running, State::backoff, Cause::crashed));
    deaths.add(death_of(1));
    const auto& death = deaths.all().back();
    deaths.shown(transition(State::starting, State::running, Cause::became_ready));
    deaths.shown(transition(State::running, State::stopping, Cause::asked));
    CHECK(death.cause.empty());
    deaths.shown(transition(State::running, State::backoff, Cause::crashed));
    CHECK(death.cause == "crashed");
    CHECK(death.next == "BACKOFF");
    CHECK(death.pause == Duration{7});
    deaths.shown(transition(State::backoff, State::stopped, Cause::asked));
    CHECK(death.next == "BACKOFF");
    deaths.add(death_of(2));
    deaths.shown(transition(State::stopping, State::starting, Cause::asked, 3));
    CHECK(deaths.all().back().next == "STARTING");
    CHECK(deaths.all().back().cause == "asked");
}

TEST_CASE("last words are cut at the beginning of a line, or of a character") {
    CHECK(last_words("") == "");
    CHECK(last_words("a\nb\n") == "a\nb\n");
    const std::string line(700, 'x');
    CHECK(last_words(line + "\n" + line + "\n") == line + "\n");
    std::string umlauts;
    for (int i = 0; i < 1000; ++i) umlauts += "\u00e4";
    const std::string cut = last_words("x" + umlauts);
    CHECK(cut.size() <= Deaths::most_text);
    CHECK(cut.size() > Deaths::most_text - 4);
    CHECK(cut.starts_with("\u00e4"));
    CHECK(last_words(std::string(3000, '\x80')).empty());
}
