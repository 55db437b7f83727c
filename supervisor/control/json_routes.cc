#include "control/json_routes.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/text.h"
#include "control/json_answers.h"
#include "control/percent.h"
#include "control/registry_routes.h"

namespace muster::control {

namespace {

using Respond = HttpServer::Respond;

constexpr std::string_view known_routes =
    "GET /v1/status, /v1/processes, /v1/processes/ID[/why], /v1/logs/ID, /v1/events, /v1/workers, "
    "/v1/fleet, /metrics, /livez, /readyz; POST "
    "/v1/processes/SEL/{start,stop,restart,roll,quiet,resume,signal}, /v1/programs/NAME/scale, "
    "/v1/reload, /v1/shutdown, /v1/sweep; and supervisord's /RPC2, /logtail, /mainlogtail";

Response failure(const ApiError& error) {
    return error_response(error.status, error.code, error.message, error.hint);
}

Response not_supported(std::string_view what) {
    return error_response(501, "not_supported",
                          fmt::format("{} is not supported in this version", what), known_routes);
}

Response not_found(std::string_view path) {
    return error_response(404, "not_found", fmt::format("there is no {}", path), known_routes);
}

Response wrong_method(const Request& request, std::string_view allowed) {
    Response response =
        error_response(405, "method_not_allowed",
                       fmt::format("{} does not answer {}", request.path, request.method),
                       fmt::format("use {}", allowed));
    response.allow = allowed;
    return response;
}

// The verbs' one parameter: "wait=true".
std::optional<bool> parse_wait(std::string_view query) {
    if (query.empty() || query == "wait=false" || query == "wait=0") return false;
    if (query == "wait=true" || query == "wait=1") return true;
    return std::nullopt;
}

Result<int> parse_signal(std::string_view body) {
    const std::string hint = R"(send {"signal":"HUP"})";
    const auto json = nlohmann::json::parse(body, nullptr, false);
    if (!json.is_object()) return Error{"the body is not a JSON object", hint};
    const auto signal = json.find("signal");
    if (signal == json.end() || json.size() != 1)
        return Error{"the body must have the key 'signal' and no other", hint};
    int number = 0;
    if (const auto* name = signal->get_ptr<const std::string*>())
        number = signal_by_name(*name);
    else if (const auto* given = signal->get_ptr<const nlohmann::json::number_integer_t*>())
        number = *given > 0 && *given < NSIG ? static_cast<int>(*given) : 0;
    if (number == 0)
        return Error{
            fmt::format("there is no signal {}",
                        signal->dump(-1, ' ', true, nlohmann::json::error_handler_t::replace)),
            hint};
    return number;
}

Response bad_query(std::string_view what, std::string_view hint) {
    return error_response(400, "bad_parameter", fmt::format("'{}' is not understood", what), hint);
}

// One request, as its route sees it.
struct Call {
    const Backend& backend;
    const Request& request;
    std::string_view name;  // what stands for the {…} of the path, still percent-encoded
    const Respond& respond;
};

Response bad_selector() {
    return error_response(400, "bad_selector", "the process's name cannot be read",
                          "percent-encode it: all, PROGRAM, PROCESS, PROGRAM:*");
}

void act(const Call& call, Verb verb, const std::string& selector) {
    const auto wait = parse_wait(call.request.query);
    if (!wait)
        return call.respond(bad_query(call.request.query, "the only parameter is wait=true"));
    const auto error = call.backend.act(
        verb, selector, *wait, [respond = call.respond](const std::vector<VerbOutcome>& all) {
            respond(outcomes_answer(all));
        });
    if (error) call.respond(failure(*error));
}

Result<std::size_t> parse_count(std::string_view text) {
    std::size_t count = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (code != std::errc{} || end != text.data() + text.size() || count > 1'000'000)
        return Error{fmt::format("'{}' is not a number of lines", text)};
    return count;
}

Outcome take_log_parameter(std::string_view parameter, LogQuery& query) {
    const auto equals = std::min(parameter.find('='), parameter.size());
    const std::string_view key = parameter.substr(0, equals);
    const std::string_view value = parameter.substr(std::min(equals + 1, parameter.size()));
    if (key == "stream" && (value == "stdout" || value == "stderr")) {
        query.is_stderr = value == "stderr";
    } else if (key == "follow" && (value == "true" || value == "false")) {
        query.follows = value == "true";
    } else if (key == "tail") {
        const auto lines = parse_count(value);
        if (!lines) return lines.error();
        query.lines = *lines;
    } else {
        return Error{fmt::format("'{}' is not understood", parameter)};
    }
    return Done{};
}

void logs_route(const Call& call) {
    const auto process = percent_decoded(call.name);
    if (!process || process->empty()) return call.respond(not_found(call.request.path));
    LogQuery query{.process = *process};
    for (const std::string& parameter : split(call.request.query, '&')) {
        if (parameter.empty()) continue;
        if (const auto taken = take_log_parameter(parameter, query); !taken)
            return call.respond(error_response(400, "bad_parameter", taken.error().message(),
                                               "stream=stdout|stderr, tail=LINES, follow=true"));
    }
    if (const auto error = call.backend.logs(query, call.respond)) call.respond(failure(*error));
}

// How an EventSource asks.
bool wants_sse(const Request& request) {
    return request.accept.find("text/event-stream") != std::string::npos;
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
    std::uint64_t number = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (code != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return number;
}

Outcome take_event_parameter(std::string_view parameter, EventQuery& query) {
    const auto equals = std::min(parameter.find('='), parameter.size());
    const std::string_view key = parameter.substr(0, equals);
    const std::string_view value = parameter.substr(std::min(equals + 1, parameter.size()));
    if (key == "follow" && (value == "true" || value == "false")) {
        query.follows = value == "true";
    } else if (key == "tail") {
        const auto count = parse_count(value);
        if (!count) return count.error();
        query.count = *count;
    } else if (const auto after = parse_number(value); key == "after" && after) {
        query.after = after;
    } else {
        return Error{fmt::format("'{}' is not understood", parameter)};
    }
    return Done{};
}

void events_route(const Call& call) {
    if (!call.backend.events) return call.respond(not_supported(call.request.path));
    EventQuery query;
    query.is_sse = wants_sse(call.request);
    query.follows = query.is_sse;
    query.after = parse_number(call.request.last_event_id);
    for (const std::string& parameter : split(call.request.query, '&')) {
        if (parameter.empty()) continue;
        if (const auto taken = take_event_parameter(parameter, query); !taken)
            return call.respond(error_response(400, "bad_parameter", taken.error().message(),
                                               "follow=true, tail=COUNT, after=ID"));
    }
    call.respond(call.backend.events(query));
}

void metrics_route(const Call& call) {
    if (!call.backend.metrics) return call.respond(not_supported(call.request.path));
    call.backend.metrics([respond = call.respond](const MetricsView& view) {
        respond({.body = metrics_text(view),
                 .content_type = "text/plain; version=0.0.4; charset=utf-8"});
    });
}

void why_route(const Call& call) {
    const auto process = percent_decoded(call.name);
    if (!process || process->empty()) return call.respond(bad_selector());
    if (!call.backend.why) return call.respond(not_supported("why"));
    std::optional<Response> response;
    const auto error =
        call.backend.why(*process, [&](const WhyView& view) { response = why_answer(view); });
    call.respond(error ? failure(*error) : std::move(*response));
}

void process_route(const Call& call) {
    const auto process = percent_decoded(call.name);
    call.respond(process && !process->empty() ? process_answer(call.backend, *process)
                                              : bad_selector());
}

template <Verb verb>
void verb_route(const Call& call) {
    const auto selector = percent_decoded(call.name);
    if (!selector || selector->empty()) return call.respond(bad_selector());
    act(call, verb, *selector);
}

void signal_route(const Call& call) {
    const auto selector = percent_decoded(call.name);
    if (!selector || selector->empty()) return call.respond(bad_selector());
    const auto number = parse_signal(call.request.body);
    if (!number)
        return call.respond(
            error_response(400, "bad_signal", number.error().message(), number.error().hint()));
    const auto error = call.backend.signal(
        *selector, *number, [respond = call.respond](const std::vector<VerbOutcome>& all) {
            respond(outcomes_answer(all));
        });
    if (error) call.respond(failure(*error));
}

Result<std::uint32_t> parse_processes(std::string_view body) {
    const std::string hint = R"(send {"processes":4})";
    const auto json = nlohmann::json::parse(body, nullptr, false);
    if (!json.is_object()) return Error{"the body is not a JSON object", hint};
    const auto processes = json.find("processes");
    if (processes == json.end() || json.size() != 1)
        return Error{"the body must have the key 'processes' and no other", hint};
    const auto* number = processes->get_ptr<const nlohmann::json::number_integer_t*>();
    if (number == nullptr || *number < 0 || *number > UINT32_MAX)
        return Error{"'processes' must be a number from 1 to 10000", hint};
    return static_cast<std::uint32_t>(*number);
}

void scale_route(const Call& call) {
    const auto program = percent_decoded(call.name);
    if (!program) return call.respond(not_found(call.request.path));
    const auto wait = parse_wait(call.request.query);
    if (!wait)
        return call.respond(bad_query(call.request.query, "the only parameter is wait=true"));
    const auto processes = parse_processes(call.request.body);
    if (!processes)
        return call.respond(error_response(400, "bad_parameter", processes.error().message(),
                                           processes.error().hint()));
    const auto error = call.backend.scale(
        *program, *processes, *wait, [respond = call.respond](const std::vector<VerbOutcome>& all) {
            respond(outcomes_answer(all));
        });
    if (error) call.respond(failure(*error));
}

void reload_route(const Call& call) {
    bool is_dry_run = false;
    bool wait = false;
    for (const std::string& part : split(call.request.query, '&')) {
        if (part == "dry_run=true" || part == "dry_run=1")
            is_dry_run = true;
        else if (part == "wait=true" || part == "wait=1")
            wait = true;
        else if (!part.empty() && part != "dry_run=false" && part != "wait=false")
            return call.respond(bad_query(part, "the parameters are dry_run=true and wait=true"));
    }
    call.backend.reload(
        is_dry_run, wait, [respond = call.respond](const std::variant<Reloaded, ApiError>& result) {
            const auto* done = std::get_if<Reloaded>(&result);
            respond(done != nullptr ? reloaded_answer(*done) : failure(std::get<ApiError>(result)));
        });
}

void shutdown_route(const Call& call) {
    // The answer first: the shutdown may end the connection.
    call.respond({.body = R"({"shutting_down":true})"});
    call.backend.shutdown();
}

void in_registry(const Call& call) {
    registry_route(call.backend.registry, call.request, call.respond);
}

struct Row {
    Route route;
    void (*answer)(const Call& call) = nullptr;
};

// The whole API; docs/openapi.json describes it, and a test holds the two together.
constexpr Row table[] = {
    {{"GET", "/v1/status"}, [](const Call& call) { call.respond(status_answer(call.backend)); }},
    {{"GET", "/v1/processes"},
     [](const Call& call) { call.respond(processes_answer(call.backend)); }},
    {{"GET", "/v1/processes/{id}"}, process_route},
    {{"GET", "/v1/processes/{id}/why"}, why_route},
    {{"POST", "/v1/processes/{selector}/start"}, verb_route<Verb::start>},
    {{"POST", "/v1/processes/{selector}/stop"}, verb_route<Verb::stop>},
    {{"POST", "/v1/processes/{selector}/restart"}, verb_route<Verb::restart>},
    {{"POST", "/v1/processes/{selector}/roll"}, verb_route<Verb::roll>},
    {{"POST", "/v1/processes/{selector}/quiet"}, verb_route<Verb::quiet>},
    {{"POST", "/v1/processes/{selector}/resume"}, verb_route<Verb::resume>},
    {{"POST", "/v1/processes/{selector}/signal"}, signal_route},
    {{"POST", "/v1/programs/{program}/scale"}, scale_route},
    {{"POST", "/v1/reload"}, reload_route},
    {{"POST", "/v1/shutdown"}, shutdown_route},
    {{"GET", "/v1/logs/{id}"}, logs_route},
    {{"GET", "/v1/events"}, events_route},
    {{"GET", "/v1/workers"}, in_registry},
    {{"GET", "/v1/fleet"}, in_registry},
    {{"POST", "/v1/sweep"}, in_registry},
    {{"GET", "/metrics"}, metrics_route},
    {{"GET", "/livez"}, [](const Call& call) { call.respond({.body = R"({"live":true})"}); }},
    {{"GET", "/readyz"}, [](const Call& call) { call.respond(ready_answer(call.backend)); }},
};

// What stands for the {…} of a route's path, "" where it has none; nothing where `path` is another.
std::optional<std::string_view> matched(std::string_view pattern, std::string_view path) {
    const auto open = pattern.find('{');
    if (open == pattern.npos)
        return path == pattern ? std::optional(std::string_view{}) : std::nullopt;
    const std::string_view tail = pattern.substr(pattern.find('}') + 1);
    if (path.size() < open + tail.size() || !path.starts_with(pattern.substr(0, open)) ||
        !path.ends_with(tail))
        return std::nullopt;
    const std::string_view name = path.substr(open, path.size() - open - tail.size());
    return name.find('/') == name.npos ? std::optional(name) : std::nullopt;
}

}  // namespace

std::vector<Route> JsonRoutes::routes() {
    std::vector<Route> all;
    for (const Row& row : table) all.push_back(row.route);
    return all;
}

void JsonRoutes::handle(const Request& request, const HttpServer::Respond& respond) const {
    for (const Row& row : table) {
        const auto name = matched(row.route.path, request.path);
        if (!name) continue;
        if (request.method != row.route.method)
            return respond(wrong_method(request, row.route.method == "GET" ? "GET, HEAD" : "POST"));
        return row.answer({backend_, request, *name, respond});
    }
    respond(not_found(request.path));
}

}  // namespace muster::control
