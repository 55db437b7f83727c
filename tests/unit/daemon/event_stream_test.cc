#include "daemon/event_stream.h"

#include <doctest/doctest.h>

#include <string>

using namespace muster;
using namespace muster::daemon;

namespace {

constexpr std::string_view some_time = "2026-05-16T01:24:48.287Z";

struct Sink final : control::BodySink {
    void write(std::string_view bytes) override { text += bytes; }
    void finish() override {}
    std::string text;
};

void add(logs::EventRing& ring, std::string process) {
    ring.add(LogLevel::info, some_time, "started", {{"process", std::move(process)}});
}

std::string json(int id, const std::string& process) {
    return R"({"id":)" + std::to_string(id) +
           R"(,"time":"2026-05-16T01:24:48.287Z","level":"info","event":"started","process":")" +
           process + "\"}";
}

}  // namespace

TEST_CASE("events are lines of JSON, and what comes follows until the client has gone") {
    logs::EventRing ring;
    add(ring, "a");
    add(ring, "b");
    const auto once = event_response(ring, {.count = 1, .after = {}});
    CHECK(once.body == json(2, "b") + "\n");
    CHECK(once.rest == nullptr);

    auto response = event_response(ring, {.count = 0, .after = {}, .follows = true});
    CHECK(response.body.empty());
    REQUIRE(response.rest);
    Sink sink;
    add(ring, "between");  // in the turn of the answer nothing comes between
    response.rest->start(sink);
    add(ring, "c");
    CHECK(sink.text == json(4, "c") + "\n");
    CHECK(response.rest->parting_word().ends_with("\"}\n"));
    response.rest.reset();
    add(ring, "d");
    CHECK(sink.text == json(4, "c") + "\n");
}

TEST_CASE("server-sent events have their number as id, so that a client can come back") {
    logs::EventRing ring;
    add(ring, "a");
    add(ring, "b");
    auto response =
        event_response(ring, {.count = 100, .after = 1, .follows = true, .is_sse = true});
    CHECK(response.content_type == "text/event-stream");
    CHECK(response.body == "id: 2\ndata: " + json(2, "b") + "\n\n");
    Sink sink;
    response.rest->start(sink);
    add(ring, "c");
    CHECK(sink.text == "id: 3\ndata: " + json(3, "c") + "\n\n");
    CHECK(response.rest->parting_word().ends_with("\n\n"));
}

TEST_CASE("who comes back too late is told how many were missed") {
    logs::EventRing ring;
    for (std::size_t i = 0; i < logs::EventRing::most_events + 5; ++i) add(ring, "a");
    const auto response = event_response(ring, {.count = 1, .after = 2});
    CHECK(response.body.starts_with(
        "{\"level\":\"warn\",\"event\":\"missed\",\"events\":\"3\"}\n{\"id\":1005,"));
}
