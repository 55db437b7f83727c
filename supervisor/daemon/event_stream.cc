#include "daemon/event_stream.h"

#include <fmt/format.h>

#include <memory>
#include <string>

namespace muster::daemon {

namespace {

// Without an `event:` field: a browser's onmessage hears of all of them.
std::string framed(bool is_sse, std::uint64_t number, std::string_view json) {
    if (is_sse) return fmt::format("id: {}\ndata: {}\n\n", number, json);
    return fmt::format("{}\n", json);
}

// What is not in the ring has no number, and so no id.
std::string framed(bool is_sse, std::string_view json) {
    return is_sse ? fmt::format("data: {}\n\n", json) : fmt::format("{}\n", json);
}

class EventFollower final : public control::BodySource, private logs::EventRing::Follower {
public:
    EventFollower(logs::EventRing& ring, bool is_sse) : ring_(ring), is_sse_(is_sse) {}
    EventFollower(const EventFollower&) = delete;
    EventFollower& operator=(const EventFollower&) = delete;
    ~EventFollower() override {
        if (sink_ != nullptr) ring_.forget(*this);
    }
    void start(control::BodySink& sink) override {
        sink_ = &sink;
        ring_.follow(*this);
    }
    [[nodiscard]] std::string_view parting_word() const override {
        return is_sse_ ? "data: {\"level\":\"warn\",\"event\":\"let-go\",\"reason\":\"this client "
                         "reads too slowly\"}\n\n"
                       : "{\"level\":\"warn\",\"event\":\"let-go\",\"reason\":\"this client reads "
                         "too slowly\"}\n";
    }

private:
    void event(std::uint64_t number, std::string_view json) override {
        sink_->write(framed(is_sse_, number, json));
    }

    logs::EventRing& ring_;
    bool is_sse_;
    control::BodySink* sink_ = nullptr;
};

}  // namespace

control::Response event_response(logs::EventRing& ring, const control::EventQuery& query) {
    control::Response response;
    response.content_type = query.is_sse ? "text/event-stream" : "application/x-ndjson";
    const std::uint64_t missed = query.after ? ring.missed_after(*query.after) : 0;
    if (missed > 0)
        response.body +=
            framed(query.is_sse,
                   fmt::format(R"({{"level":"warn","event":"missed","events":"{}"}})", missed));
    ring.each(query.count, query.after, [&](std::uint64_t number, std::string_view json) {
        response.body += framed(query.is_sse, number, json);
    });
    if (query.follows) response.rest = std::make_shared<EventFollower>(ring, query.is_sse);
    return response;
}

}  // namespace muster::daemon
