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
constexpr Duration long_patience = 24h;
constexpr std::size_t at_once = 32;  // requests: the supervisor serves 64 connections

// A rolling restart waits for jobs in hand.
bool is_long(Verb verb) {
    return verb == Verb::roll || verb == Verb::scale || verb == Verb::reload;
}

bool can_wait(const CommandLine& line) {
    const bool is_at_once =
        line.verb == Verb::signal || line.verb == Verb::quiet || line.verb == Verb::resume;
    return line.waits && !is_at_once;
}

Duration limit_of(const CommandLine& line) {
    if (!can_wait(line)) return patience;
    return is_long(line.verb) ? long_patience : waiting_patience;
}

struct Asked {
    std::string target;
    std::string body;
};

Asked asked_of(const CommandLine& line, std::size_t i) {
    const std::string_view wait = can_wait(line) ? "?wait=true" : "";
    if (line.verb == Verb::scale) {
        const auto& [program, processes] = line.scales[i];
        return {fmt::format("/v1/programs/{}/scale{}", control::percent_encoded(program), wait),
                to_text(Json{{"processes", processes}})};
    }
    return {fmt::format("/v1/processes/{}/{}{}", control::percent_encoded(line.selectors[i]),
                        line.verb_name, wait),
            line.verb == Verb::signal ? to_text(Json{{"signal", signal_name(line.signal)}}) : ""};
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
        std::string state = text_of(each, "state");
        std::string message = text_of(each, "message");
        if (message.empty()) return state;
        return state.empty() ? message : fmt::format("{} ({})", message, state);
    }

    const CommandLine& line_;
    Printed printed_;
    Json all_ = Json::array();
};

// All are asked at the same time: two that take 20 s to stop are not 40 s.
Printed act(const CommandLine& line) {
    Collected collected{line};
    for (std::size_t first = 0; first < line.selectors.size(); first += at_once) {
        const std::size_t end = std::min(first + at_once, line.selectors.size());
        std::vector<HttpClient> clients;
        for (std::size_t i = first; i < end; ++i) {
            auto client = reach(line);
            if (!client) return failed(line, exit_unreachable, client.error());
            const Asked asked = asked_of(line, i);
            const Outcome sent = client->send("POST", asked.target, asked.body);
            if (!sent) return failed(line, exit_unreachable, sent.error());
            clients.push_back(std::move(*client));
        }
        for (HttpClient& client : clients) collected.add(client.receive(limit_of(line)));
    }
    return collected.take();
}

std::string words_of(Json& object, std::string_view key) {
    std::vector<std::string> words;
    for (const Json& word : elements(object, key)) {
        if (const auto* text = word.get_ptr<const std::string*>()) words.push_back(*text);
    }
    return joined(words, ", ");
}

std::string change_text(Json& change) {
    std::vector<std::string> parts;
    const auto tell = [&](std::string_view key, std::string_view what) {
        const std::string words = words_of(change, key);
        if (!words.empty()) parts.push_back(fmt::format("{} ({})", words, what));
    };
    tell("restart", "its processes are replaced one at a time");
    tell("live", "at once");
    tell("next_start", "from the next start on");
    const Json& processes = member(change, "processes");
    if (processes.is_object())
        parts.push_back(fmt::format("{:.0f} → {:.0f} processes",
                                    number_of(processes, "from").value_or(0),
                                    number_of(processes, "to").value_or(0)));
    return joined(parts, "; ");
}

std::string changes_text(Json& json) {
    std::string text;
    const auto names = [&](std::string_view key) {
        for (const Json& name : Json::array_t(elements(json, key)))
            text += fmt::format("{} {}\n", key, name.is_string() ? name.get<std::string>() : "");
    };
    names("added");
    for (Json& change : elements(json, "changed"))
        text += fmt::format("changed {}: {}\n", text_of(change, "program"), change_text(change));
    names("removed");
    if (const std::string live = words_of(json, "live"); !live.empty())
        text += fmt::format("changed {} (at once)\n", live);
    if (const std::string later = words_of(json, "needs_restart"); !later.empty())
        text += fmt::format("changed {} (needs a restart of muster; left as it was)\n", later);
    return text.empty() ? "nothing has changed\n" : text;
}

Printed reload(const CommandLine& line) {
    std::string target = "/v1/reload";
    if (line.dry_run)
        target += "?dry_run=true";
    else if (line.waits)
        target += "?wait=true";
    auto client = reach(line);
    if (!client) return failed(line, exit_unreachable, client.error());
    if (const Outcome sent = client->send("POST", target); !sent)
        return failed(line, exit_unreachable, sent.error());
    const auto reply = client->receive(limit_of(line));
    if (!reply) return failed(line, exit_unreachable, reply.error());
    if (reply->status == 422) return failed(line, exit_usage, error_of(*reply));
    if (reply->status != 200) return refused(line, *reply);
    Json json = parse_json(reply->body);
    Collected collected{line};
    collected.add(reply);
    Printed printed = collected.take();
    printed.out = line.json ? to_text(json) + "\n" : changes_text(json) + printed.out;
    return printed;
}

// For probes: nothing but 0 and 1.
Printed health(const CommandLine& line) {
    const auto reply = ask(line, "GET", line.only_live ? "/livez" : "/readyz");
    if (!reply) return failed(line, exit_failed, reply.error());
    if (reply->status != 200) return failed(line, exit_failed, error_of(*reply));
    return {.status = exit_done, .out = line.only_live ? "alive\n" : "ready\n", .err = {}};
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
        case Verb::roll:
        case Verb::scale:
        case Verb::quiet:
        case Verb::resume:
        case Verb::signal:
            return act(line);
        case Verb::reload:
            return reload(line);
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
