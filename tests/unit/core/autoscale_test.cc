#include "core/autoscale.h"

#include <doctest/doctest.h>

#include <optional>
#include <random>

using namespace muster;
using namespace muster::core;
using namespace std::chrono_literals;
using Cause = Autoscale::Cause;

namespace {

constexpr AutoscaleRule rule{.min = 1, .max = 8, .jobs_per_process = 20, .down_after = 5min};

// A program whose size is what the verdict says, on a clock of its own.
struct Program {
    AutoscaleRule rule = ::rule;
    Autoscale autoscale{};
    std::uint32_t size = 1;
    TimePoint now{1h};

    Autoscale::Verdict sees(std::optional<std::uint64_t> depth, std::uint32_t busy = 0) {
        const auto verdict = autoscale.judge(rule, {depth, busy}, size, now);
        size = verdict.size;
        return verdict;
    }
    Autoscale::Verdict later(Duration time,
                             std::optional<std::uint64_t> depth,
                             std::uint32_t busy = 0) {
        now += time;
        return sees(depth, busy);
    }
};

}  // namespace

TEST_CASE("the need is one process for so many jobs, between min and max") {
    CHECK(Autoscale::need_of(rule, 0) == 1);
    CHECK(Autoscale::need_of(rule, 20) == 1);
    CHECK(Autoscale::need_of(rule, 21) == 2);
    CHECK(Autoscale::need_of(rule, 160) == 8);
    CHECK(Autoscale::need_of(rule, UINT64_MAX) == 8);
    CHECK(Autoscale::need_of({.min = 3, .max = 4, .jobs_per_process = 1}, 1) == 3);
}

TEST_CASE("it grows at once, and to what is needed") {
    Program program;
    CHECK(program.sees(0).cause == Cause::needed);
    const auto more = program.later(15s, 61);
    CHECK(more.cause == Cause::more_needed);
    CHECK(program.size == 4);
    program.later(15s, 10'000);
    CHECK(program.size == 8);
}

TEST_CASE("it shrinks when less was needed for all of down_after, to the most of that time") {
    Program program{.size = 8};
    auto verdict = program.sees(40);
    CHECK(verdict.cause == Cause::less_needed);
    CHECK(verdict.rest == 5min);
    CHECK(program.later(1min, 100).need == 5);
    verdict = program.later(3min, 0);
    CHECK(verdict.rest == 1min);
    CHECK(program.later(1min - 1ms, 0).size == 8);
    verdict = program.later(1ms, 0);
    CHECK(verdict.cause == Cause::was_less_needed);
    CHECK(program.size == 5);
    CHECK(program.later(4min, 0).size == 5);  // and a new time begins
    CHECK(program.later(4min, 0).size == 5);
    CHECK(program.later(1min, 0).size == 1);
}

TEST_CASE("a moment of need begins the time anew") {
    Program program{.size = 4};
    program.sees(0);
    CHECK(program.later(4min, 80).cause == Cause::needed);
    CHECK(program.later(2min, 0).rest == 5min);
    CHECK(program.later(4min, 0).size == 4);
}

TEST_CASE("while nobody knows the depth the size stays, and no time of less need goes on (I13)") {
    Program program{.size = 4};
    program.sees(0);
    CHECK(program.later(4min, std::nullopt).cause == Cause::unknown);
    CHECK(program.later(1h, std::nullopt).size == 4);
    CHECK(program.later(1s, 0).cause == Cause::less_needed);
    CHECK(program.later(4min, 0).size == 4);
    CHECK(program.later(1min, 0).size == 1);
}

TEST_CASE("busy ones are needed") {
    Program program{.size = 8};
    program.sees(0, 8);
    CHECK(program.later(1h, 0, 8).cause == Cause::needed);
    program.later(1s, 0, 3);
    CHECK(program.later(5min, 0, 2).size == 3);
    program.later(1s, 0, 100);  // also such as are not ours
    CHECK(program.size == 8);
}

TEST_CASE("a size that a reload has put outside is brought inside, whatever is known") {
    Program program{.size = 8};
    program.rule.max = 4;
    CHECK(program.sees(std::nullopt).size == 4);
    program.rule = {.min = 6, .max = 9};
    CHECK(program.sees(std::nullopt).size == 6);
    program.rule = {.min = 1, .max = 3};
    CHECK(program.sees(1000).size == 3);
}

TEST_CASE(
    "whatever comes: within min and max, never less while nobody knows, and never up and down "
    "within down_after") {
    std::mt19937 random{4711};
    const auto number = [&](std::uint32_t below) {
        return static_cast<std::uint32_t>(random() % below);
    };
    for (int history = 0; history < 300; ++history) {
        Program program;
        program.rule.min = 1 + number(4);
        program.rule.max = program.rule.min + number(9);
        program.rule.jobs_per_process = 1 + number(30);
        program.rule.down_after = std::chrono::seconds{number(600)};
        program.size = program.rule.min + number(program.rule.max - program.rule.min + 1);
        TimePoint needed_at = program.now;  // when the size, or more, was needed last
        for (int step = 0; step < 200; ++step) {
            const std::uint32_t before = program.size;
            std::optional<std::uint64_t> depth;
            if (number(8) > 0) depth = number(4) > 0 ? number(100) : 0;
            const std::uint32_t busy = number(before + 1);
            const auto verdict = program.later(std::chrono::seconds{number(120)}, depth, busy);
            CHECK(program.size >= program.rule.min);
            CHECK(program.size <= program.rule.max);
            if (!depth) CHECK(program.size == before);
            if (depth) CHECK(program.size >= std::min(verdict.need, program.rule.max));
            if (depth) CHECK(program.size >= busy);
            if (program.size < before) CHECK(program.now - needed_at >= program.rule.down_after);
            if (!depth || verdict.need >= before) needed_at = program.now;
        }
    }
}
