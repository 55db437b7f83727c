#include "client/control_verbs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "base/text.h"
#include "client/asking.h"
#include "client/events_view.h"
#include "client/http_client.h"
#include "client/json_reading.h"
#include "client/logs_view.h"
#include "client/registry_view.h"
#include "client/table.h"
#include "client/watch.h"
#include "client/why_view.h"
#include "control/default_paths.h"
#include "control/percent.h"

namespace muster::client {

namespace {

using namespace std::chrono_literals;

constexpr Duration waiting_patience = 10min;
constexpr std::size_t at_once = 32;  // requests: the supervisor serves 64 connections

std::string target_of(const CommandLine& line, const std::string& selector) {
    return fmt::format("/v1/processes/{}/{}{}", control::percent_encoded(selector), line.verb_name,
                       line.verb != Verb::signal && line.waits ? "?wait=true" : "");
}

// Several answers as one.
class Collected {
public:
    explicit Collected(const CommandLine& line) : line_(line) {}

    void add(const Result<HttpReply>& reply) {
        if (!reply) return add(failed(line_, exit_unreachable, reply.error()));
        if (reply->status != 200) return add(refused(line_, *reply));
        Json json = parse_json(reply->body);
        for (Json& each : elements(json, "processes")) {
            const bool is_ok = is_true(each, "ok");
            if (!is_ok) printed_.status = std::max<int>(printed_.status, exit_failed);
            std::string row = fmt::format("{}: {}", text_of(each, "process"), outcome(each));
            std::string& to = is_ok ? printed_.out : printed_.err;
            if (!line_.json) to += row + "\n";
            all_.push_back(std::move(each));
        }
    }
    void add(const Printed& other) {
        printed_.status = std::max(printed_.status, other.status);
        printed_.err += other.err;
    }
    Printed take() {
        if (line_.json) printed_.out = to_text(Json{{"processes", std::move(all_)}}) + "\n";
        return std::move(printed_);
    }

private:
    static std::string outcome(const Json& each) {
        const std::string state = text_of(each, "state");
        const std::string message = text_of(each, "message");
        if (message.empty()) return state;
        return state.empty() ? message : fmt::format("{} ({})", message, state);
    }

    const CommandLine& line_;
    Printed printed_;
    Json all_ = Json::array();
};

// All are asked at the same time: two that take 20 s to stop are not 40 s.
Printed act(const CommandLine& line) {
    const std::string body =
        line.verb == Verb::signal ? to_text(Json{{"signal", signal_name(line.signal)}}) : "";
    const Duration limit = line.verb != Verb::signal && line.waits ? waiting_patience : patience;
    Collected collected{line};
    for (std::size_t first = 0; first < line.selectors.size(); first += at_once) {
        const std::size_t end = std::min(first + at_once, line.selectors.size());
        std::vector<HttpClient> clients;
        for (std::size_t i = first; i < end; ++i) {
            auto client = reach(line);
            if (!client) return failed(line, exit_unreachable, client.error());
            const Outcome sent = client->send("POST", target_of(line, line.selectors[i]), body);
            if (!sent) return failed(line, exit_unreachable, sent.error());
            clients.push_back(std::move(*client));
        }
        for (HttpClient& client : clients) collected.add(client.receive(limit));
    }
    return collected.take();
}

// For probes: nothing but 0 and 1.
Printed health(const CommandLine& line) {
    const auto reply = ask(line, "GET", "/readyz");
    if (!reply) return failed(line, exit_failed, reply.error());
    if (reply->status != 200) return failed(line, exit_failed, error_of(*reply));
    return {.status = exit_done, .out = "ready\n", .err = {}};
}

Printed shutdown(const CommandLine& line) {
    const auto reply = ask(line, "POST", "/v1/shutdown");
    if (!reply) return failed(line, exit_unreachable, reply.error());
    if (reply->status != 200) return refused(line, *reply);
    return {.status = exit_done, .out = "shutting down\n", .err = {}};
}

Printed status(const CommandLine& line) {
    if (line.watches) return watch_status(line);
    const auto reply = ask(line, "GET", "/v1/status");
    if (!reply) return failed(line, exit_unreachable, reply.error());
    if (reply->status != 200) return refused(line, *reply);
    return show_status(line, reply->body, wants_colour());
}

// All pages, one after the other.
Printed workers(const CommandLine& line) {
    Json all = Json::array();
    std::string after;
    do {
        const auto reply =
            ask(line, "GET",
                fmt::format("/v1/workers?limit=1000{}{}", line.only_stale ? "&stale=true" : "",
                            after.empty() ? "" : "&after=" + control::percent_encoded(after)));
        if (!reply) return failed(line, exit_unreachable, reply.error());
        if (reply->status != 200) return refused(line, *reply);
        Json json = parse_json(reply->body);
        for (Json& each : elements(json, "workers")) all.push_back(std::move(each));
        after = text_of(json, "next");
    } while (!after.empty());
    if (!line.json)
        return {.status = exit_done, .out = workers_table(all, wants_colour()), .err = {}};
    return {
        .status = exit_done, .out = to_text(Json{{"workers", std::move(all)}}) + "\n", .err = {}};
}

Printed fleet(const CommandLine& line) {
    const auto reply = ask(line, "GET", "/v1/fleet");
    if (!reply) return failed(line, exit_unreachable, reply.error());
    if (reply->status != 200) return refused(line, *reply);
    if (line.json) return {.status = exit_done, .out = reply->body + "\n", .err = {}};
    const Json json = parse_json(reply->body);
    return {.status = exit_done,
            .out = fleet_table(member(json, "instances"), wants_colour()),
            .err = {}};
}

}  // namespace

Printed control_verb(const CommandLine& line) {
    switch (line.verb) {
        case Verb::status:
            return status(line);
        case Verb::start:
        case Verb::stop:
        case Verb::restart:
        case Verb::signal:
            return act(line);
        case Verb::logs:
            return show_logs(line);
        case Verb::why:
            return show_why(line);
        case Verb::events:
            return show_events(line);
        case Verb::workers:
            return workers(line);
        case Verb::fleet:
            return fleet(line);
        case Verb::health:
            return health(line);
        case Verb::shutdown:
            return shutdown(line);
        case Verb::run:
        case Verb::check:
        case Verb::import:
        case Verb::sweep:
        case Verb::version:
            break;
    }
    return failed(line, exit_usage, Error{"needs no supervisor"});
}

}  // namespace muster::client
