#include "logs/event_ring.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "logs/event_log.h"
#include "reader.h"

using namespace muster;
using namespace muster::logs;
using nlohmann::json;

namespace {

constexpr std::string_view some_time = "2026-05-16T01:24:48.287Z";

void add(EventRing& ring, const std::string& process) {
    ring.add(LogLevel::info, some_time, "started", {{"process", process}, {"name", ""}});
}

std::vector<std::uint64_t> numbers(const EventRing& ring,
                                   std::size_t most,
                                   std::optional<std::uint64_t> after = {}) {
    std::vector<std::uint64_t> all;
    ring.each(most, after, [&](std::uint64_t number, std::string_view text) {
        CHECK(json::parse(text)["id"] == number);
        all.push_back(number);
    });
    return all;
}

struct Heard final : EventRing::Follower {
    void event(std::uint64_t number, std::string_view text) override {
        CHECK(json::parse(text)["id"] == number);
        all.emplace_back(text);
    }
    std::vector<std::string> all;
};

}  // namespace

TEST_CASE("an event is told as JSON with its number, time, level and fields") {
    EventRing ring;
    ring.add(LogLevel::warn, some_time, "exited",
             {{"process", "a\"b"}, {"name", ""}, {"reason", "line\nfeed \xff"}});
    std::string told;
    ring.each(10, {}, [&](std::uint64_t, std::string_view text) { told = text; });
    CHECK(json::parse(told) == json{{"id", 1},
                                    {"time", "2026-05-16T01:24:48.287Z"},
                                    {"level", "warn"},
                                    {"event", "exited"},
                                    {"process", "a\"b"},
                                    {"reason", "line\nfeed \xef\xbf\xbd"}});
}

TEST_CASE("the last so many are told, or those after a number") {
    EventRing ring;
    CHECK(numbers(ring, 10).empty());
    for (int i = 0; i < 5; ++i) add(ring, "a");
    using Numbers = std::vector<std::uint64_t>;
    CHECK(numbers(ring, 10) == Numbers{1, 2, 3, 4, 5});
    CHECK(numbers(ring, 2) == Numbers{4, 5});
    CHECK(numbers(ring, 0).empty());
    CHECK(numbers(ring, 10, 3) == Numbers{4, 5});
    CHECK(numbers(ring, 1, 3) == Numbers{5});
    CHECK(numbers(ring, 10, 5).empty());
    CHECK(numbers(ring, 10, 99) == Numbers{1, 2, 3, 4, 5});  // of another life
}

TEST_CASE("the ring is bounded in number and in bytes, and says what it has lost") {
    EventRing ring;
    for (std::size_t i = 0; i < EventRing::most_events + 10; ++i) add(ring, "a");
    CHECK(ring.count() == EventRing::most_events);
    CHECK(ring.last_number() == EventRing::most_events + 10);
    CHECK(numbers(ring, 5000).front() == 11);
    CHECK(ring.missed_after(4) == 6);
    CHECK(ring.missed_after(10) == 0);
    CHECK(ring.missed_after(99'999) == 0);

    EventRing large;
    const std::string value(100'000, 'x');
    for (int i = 0; i < 1000; ++i) add(large, value);
    CHECK(large.count() < 300);  // a value is cut, and the sum is bounded
    CHECK(large.count() > 200);
    large.each(1, {}, [&](std::uint64_t, std::string_view text) {
        CHECK(json::parse(text)["process"] == value.substr(0, EventRing::longest_value));
    });
}

TEST_CASE("a follower hears what comes from then on") {
    EventRing ring;
    add(ring, "before");
    Heard heard;
    ring.follow(heard);
    add(ring, "a");
    add(ring, "b");
    ring.forget(heard);
    add(ring, "after");
    REQUIRE(heard.all.size() == 2);
    CHECK(json::parse(heard.all[0])["process"] == "a");
    CHECK(json::parse(heard.all[1])["process"] == "b");
}

TEST_CASE("the ring keeps what is info or more, also where the log shows less or has no room") {
    loop::Loop loop;
    Reader reader;
    OutputWriter writer{loop, reader.write.get()};
    EventRing ring;
    EventLog log{writer, LogLevel::error, Format::text, &ring};
    CHECK(log.shows(LogLevel::info));
    CHECK(!log.shows(LogLevel::debug));
    log.debug("small", {});
    log.info("started", {{"process", "a"}});
    log.error("given-up", {{"process", "a"}});
    CHECK(ring.count() == 2);
    writer.append(std::string(OutputWriter::events_until + 1, 'x'));
    log.error("given-up", {{"process", "b"}});
    CHECK(log.dropped_lines() == 1);
    CHECK(ring.count() == 3);
}
