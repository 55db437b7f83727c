#include "logs/event_log.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "base/text.h"
#include "reader.h"

using namespace muster;
using namespace muster::logs;

namespace {

struct Rig {
    loop::Loop loop;
    Reader reader;
    OutputWriter writer{loop, reader.write.get()};
    EventLog log{writer, LogLevel::info};

    std::string written() {
        some_turns(loop);
        return reader.take();
    }
    // What follows "2026-05-16T01:24:48.287Z ".
    std::string without_time() {
        const std::string text = written();
        return text.substr(std::min<std::size_t>(text.size(), 25));
    }
};

std::string shown(std::string_view value) {
    std::string line;
    append_value(line, value);
    return line;
}

}  // namespace

TEST_CASE("a line has the time, the level in a column, the event and its fields in order") {
    Rig rig;
    const WallTime before =
        std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
    rig.log.warn("exited", {{"program", "shap"}, {"pid", "64"}, {"name", ""}, {"status", "1"}});
    const WallTime after =
        std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
    const std::string line = rig.written();
    CHECK(line.substr(24) == " WARN  exited program=shap pid=64 status=1\n");
    const std::string time = line.substr(0, 24);
    CHECK(time >= format_wall_time(before));
    CHECK(time <= format_wall_time(after));
}

// Whoever follows is told between the two.
struct SlowFollower final : EventRing::Follower {
    std::string told;
    void event(std::uint64_t /*number*/, std::string_view json) override {
        using std::chrono::floor, std::chrono::milliseconds, std::chrono::system_clock;
        told = json;
        const auto begun = floor<milliseconds>(system_clock::now());
        while (floor<milliseconds>(system_clock::now()) == begun) {
        }
    }
};

TEST_CASE("an event and its line tell the same time") {
    Rig rig;
    EventRing ring;
    SlowFollower follower;
    ring.follow(follower);
    EventLog log{rig.writer, LogLevel::info, Format::text, &ring};
    log.warn("exited", {{"program", "shap"}});
    const std::string time = rig.written().substr(0, 24);
    CHECK(follower.told.find("\"time\":\"" + time + '"') != std::string::npos);
}

TEST_CASE("every level has its word") {
    Rig rig;
    rig.log.set_level(LogLevel::debug);
    for (const auto& [level, text] :
         std::vector<std::pair<LogLevel, std::string>>{{LogLevel::debug, "DEBUG it\n"},
                                                       {LogLevel::info, "INFO  it\n"},
                                                       {LogLevel::warn, "WARN  it\n"},
                                                       {LogLevel::error, "ERROR it\n"},
                                                       {LogLevel::critical, "CRIT  it\n"}}) {
        rig.log.write(level, "it", {});
        CHECK(rig.without_time() == text);
    }
}

TEST_CASE("what is below the level is not shown") {
    Rig rig;
    CHECK_FALSE(rig.log.shows(LogLevel::debug));
    CHECK(rig.log.shows(LogLevel::info));
    rig.log.debug("secretly", {});
    CHECK(rig.written().empty());
}

TEST_CASE("a value that could be misread is quoted, and none can begin a line of its own") {
    CHECK(shown("plain-1.2:3/x\\y") == "plain-1.2:3/x\\y");
    CHECK(shown("größe") == "größe");
    CHECK(shown("two words") == "\"two words\"");
    CHECK(shown("a=b") == "\"a=b\"");
    CHECK(shown("say \"no\" \\") == R"("say \"no\" \\")");
    CHECK(shown("x\n2026-05-16T01:24:48.287Z INFO  forged") ==
          R"("x\n2026-05-16T01:24:48.287Z INFO  forged")");
    CHECK(shown("\r\t\x1b[31m\x7f") == R"("\r\t\x1b[31m\x7f")");
    CHECK(shown(std::string_view{"\0", 1}) == R"("\x00")");
    CHECK(shown("\xc2\x9b"
                "1m") == R"("\xc2\x9b1m")");
    CHECK(shown("\xc2") == "\xc2");
    CHECK(shown("") == "\"\"");
}

TEST_CASE("events that find no room are dropped, counted and told, and output is not") {
    Rig rig;
    rig.writer.append(std::string(OutputWriter::events_until, 'o') + "\n");
    some_turns(rig.loop);
    while (rig.writer.accepts_events()) rig.log.info("filling", {{"with", std::string(1000, 'f')}});
    for (int i = 0; i < 7; ++i) rig.log.warn("lost", {{"number", std::to_string(i)}});
    CHECK(rig.log.dropped_lines() == 7);
    std::string got;
    REQUIRE(eventually(rig.loop, [&] {
        got += rig.reader.take();
        return got.find("dropped") != std::string::npos;
    }));
    rig.log.info("after", {});
    got += rig.written();
    CHECK(std::count(got.begin(), got.end(), 'o') >= static_cast<long>(OutputWriter::events_until));
    CHECK(got.find("lost") == std::string::npos);
    const auto lines = split(got, '\n');
    REQUIRE(lines.size() >= 3);
    CHECK(lines[lines.size() - 3].substr(25) == "WARN  dropped lines=7");
    CHECK(lines[lines.size() - 2].substr(25) == "INFO  after");
}

TEST_CASE("a count of dropped events stands before the next event, if that comes first") {
    Rig rig;
    rig.writer.append(std::string(OutputWriter::events_until + 200'000, 'o') + "\n");
    rig.log.info("lost", {});
    // The pipe takes 64 KiB at most: read until there is room for events, not yet for all waiters.
    std::string got;
    while (!rig.writer.accepts_events()) got += rig.written();
    rig.log.info("next", {});
    REQUIRE(eventually(rig.loop, [&] {
        got += rig.reader.take();
        return rig.writer.queued() == 0;
    }));
    got += rig.written();
    const auto lines = split(got, '\n');
    REQUIRE(lines.size() >= 3);
    CHECK(lines[lines.size() - 3].substr(25) == "WARN  dropped lines=1");
    CHECK(lines[lines.size() - 2].substr(25) == "INFO  next");
}
