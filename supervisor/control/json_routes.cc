#include "control/json_routes.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>

#include "base/text.h"
#include "control/json_writer.h"
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

constexpr std::size_t usual_body = std::size_t{32} * 1024;  // of a hundred processes

void write_optional(JsonWriter& json, std::string_view key, std::string_view value) {
    json.key(key);
    value.empty() ? json.null() : json.string(value);
}

void write_optional(JsonWriter& json, std::string_view key, const std::optional<Duration>& value) {
    json.key(key);
    value ? json.seconds(*value) : json.null();
}

void write_last_exit(JsonWriter& json, const LastExit* last) {
    json.key("last_exit");
    if (last == nullptr) return json.null();
    json.begin_object();
    json.key(last->by_signal ? "signal" : "code");
    json.number(last->number);
    json.key("at");
    json.string(format_wall_time(last->at));
    json.key("reason");
    json.string(last->reason);
    json.end_object();
}

void write_process(JsonWriter& json, const ProcessView& process) {
    json.begin_object();
    json.key("id");
    json.string(process.id);
    json.key("program");
    json.string(process.program);
    write_optional(json, "group", process.group);
    json.key("index");
    json.number(process.index);
    json.key("state");
    json.string(process.state);
    json.key("pid");
    process.pid ? json.number(*process.pid) : json.null();
    write_optional(json, "name", process.name);
    json.key("incarnation");
    process.incarnation > 0 ? json.number(process.incarnation) : json.null();
    json.key("started_at");
    process.started_at ? json.string(format_wall_time(*process.started_at)) : json.null();
    write_optional(json, "uptime", process.uptime);
    json.key("restarts");
    json.number(process.restarts);
    json.key("failures");
    json.number(process.failures);
    write_optional(json, "next_try_in", process.next_try_in);
    json.key("health");
    json.string(process.health);
    json.key("ready");
    process.ready ? json.boolean(*process.ready) : json.null();
    json.key("quiet");
    process.quiet ? json.boolean(*process.quiet) : json.null();
    if (!process.held.empty()) {
        json.key("held");
        json.string(process.held);
    }
    write_last_exit(json, process.last_exit);
    json.end_object();
}

void write_jobs(JsonWriter& json, const std::vector<std::string>& jobs) {
    json.begin_array();
    for (const std::string& job : jobs) json.string(job);
    json.end_array();
}

void write_text(JsonWriter& json, std::string_view key, const std::optional<std::string>& text) {
    json.key(key);
    text ? json.string(*text) : json.null();
}

std::string_view oom_word(Death::Oom oom) {
    switch (oom) {
        case Death::Oom::no:
            return "no";
        case Death::Oom::likely:
            return "likely";
        case Death::Oom::unknown:
            return "unknown";
    }
    return "unknown";
}

void write_cleaned(JsonWriter& json, const std::optional<Death::Cleaned>& cleaned) {
    json.key("cleaned");
    if (!cleaned) return json.null();
    json.begin_object();
    json.key("verdict");
    json.string(cleaned->verdict);
    json.key("handed_back");
    write_jobs(json, cleaned->handed_back);
    write_optional(json, "detail", std::string_view(cleaned->detail));
    json.key("after");
    json.seconds(cleaned->after);
    json.end_object();
}

void write_death(JsonWriter& json, const Death& death) {
    json.begin_object();
    json.key("at");
    json.string(format_wall_time(death.at));
    json.key("reason");
    json.string(death.reason);
    json.key(death.by_signal ? "signal" : "code");
    json.number(death.number);
    write_optional(json, "cause", death.cause);
    json.key("pid");
    json.number(death.pid);
    json.key("name");
    json.string(death.name);
    json.key("incarnation");
    json.number(death.incarnation);
    json.key("uptime");
    json.seconds(death.uptime);
    json.key("oom");
    json.string(oom_word(death.oom));
    write_optional(json, "oom_evidence", std::string_view(death.oom_evidence));
    json.key("peak_memory");
    json.number(death.peak_memory);
    json.key("cpu");
    json.seconds(death.cpu);
    json.key("jobs");
    if (death.cleaned)
        write_jobs(json, death.cleaned->handed_back);
    else
        json.null();
    write_text(json, "last_stdout", death.last_stdout);
    write_text(json, "last_stderr", death.last_stderr);
    write_cleaned(json, death.cleaned);
    write_optional(json, "next", death.next);
    json.key("pause");
    json.seconds(death.pause);
    json.end_object();
}

void write_processes(JsonWriter& json, const Backend& backend) {
    json.key("processes");
    json.begin_array();
    backend.each_process([&](const ProcessView& process) { write_process(json, process); });
    json.end_array();
}

Response processes(const Backend& backend) {
    JsonWriter json;
    json.reserve(usual_body);
    json.begin_object();
    write_processes(json, backend);
    json.end_object();
    return {.body = json.take()};
}

Response one_process(const Backend& backend, const std::string& id) {
    JsonWriter json;
    bool found = false;
    backend.each_process([&](const ProcessView& process) {
        if (process.id != id || found) return;
        found = true;
        write_process(json, process);
    });
    if (found) return {.body = json.take()};
    return error_response(404, "no_such_process", fmt::format("there is no process '{}'", id),
                          "GET /v1/processes names all");
}

Response why(const WhyView& view) {
    JsonWriter json;
    json.begin_object();
    json.key("process");
    write_process(json, view.process);
    write_optional(json, "trouble", view.trouble);
    json.key("deaths");
    json.begin_array();
    for (const Death* death : view.deaths) write_death(json, *death);
    json.end_array();
    json.end_object();
    return {.body = json.take()};
}

Response status(const Backend& backend) {
    const SupervisorView view = backend.supervisor();
    JsonWriter json;
    json.begin_object();
    json.key("supervisor");
    json.begin_object();
    json.key("version");
    json.string(MUSTER_VERSION);
    json.key("instance");
    json.string(view.instance);
    json.key("service");
    json.string(view.service);
    json.key("host");
    json.string(view.host);
    json.key("pid");
    json.number(view.pid);
    json.key("started_at");
    json.string(format_wall_time(view.started_at));
    json.key("state");
    json.string(view.state);
    write_optional(json, "config", view.config_path);
    json.end_object();
    json.key("redis");
    json.begin_object();
    json.key("state");
    json.string(view.redis_state);
    write_optional(json, "url", view.redis_url);
    write_optional(json, "error", view.redis_error);
    json.key("debts");
    json.number(view.debts);
    json.end_object();
    write_processes(json, backend);
    json.end_object();
    return {.body = json.take()};
}

Response ready(const Backend& backend) {
    const std::vector<std::string> missing = backend.not_ready();
    JsonWriter json;
    json.begin_object();
    json.key("ready");
    json.boolean(missing.empty());
    json.key("not_ready");
    json.begin_array();
    for (const std::string& each : missing) json.string(each);
    json.end_array();
    if (!missing.empty()) {
        json.key("error");
        json.begin_object();
        json.key("code");
        json.string("not_ready");
        json.key("message");
        json.string(fmt::format("not ready: {}", joined(missing, ", ")));
        json.key("hint");
        json.string("");
        json.end_object();
    }
    json.end_object();
    return {.status = missing.empty() ? 200 : 503, .body = json.take()};
}

void write_outcomes(JsonWriter& json, const std::vector<VerbOutcome>& all) {
    json.key("processes");
    json.begin_array();
    for (const VerbOutcome& each : all) {
        json.begin_object();
        json.key("process");
        json.string(each.process);
        json.key("ok");
        json.boolean(each.ok);
        json.key("state");
        json.string(each.state);
        json.key("message");
        json.string(each.message);
        json.end_object();
    }
    json.end_array();
}

Response outcomes(const std::vector<VerbOutcome>& all) {
    JsonWriter json;
    json.begin_object();
    write_outcomes(json, all);
    json.end_object();
    return {.body = json.take()};
}

void write_words(JsonWriter& json, std::string_view key, const std::vector<std::string>& words) {
    json.key(key);
    json.begin_array();
    for (const std::string& word : words) json.string(word);
    json.end_array();
}

void write_change(JsonWriter& json, const ProgramChange& change) {
    json.begin_object();
    json.key("program");
    json.string(change.program);
    write_words(json, "live", change.live);
    write_words(json, "next_start", change.next_start);
    write_words(json, "restart", change.restart);
    json.key("processes");
    if (change.processes) {
        json.begin_object();
        json.key("from");
        json.number(change.processes->first);
        json.key("to");
        json.number(change.processes->second);
        json.end_object();
    } else {
        json.null();
    }
    json.end_object();
}

Response reloaded(const Reloaded& done) {
    JsonWriter json;
    json.begin_object();
    json.key("dry_run");
    json.boolean(done.changes.is_dry_run);
    write_words(json, "added", done.changes.added);
    json.key("changed");
    json.begin_array();
    for (const ProgramChange& change : done.changes.changed) write_change(json, change);
    json.end_array();
    write_words(json, "removed", done.changes.removed);
    write_words(json, "live", done.changes.live);
    write_words(json, "needs_restart", done.changes.needs_restart);
    write_outcomes(json, done.processes);
    json.end_object();
    return {.body = json.take()};
}

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

std::optional<Verb> verb_called(std::string_view word) {
    constexpr std::pair<std::string_view, Verb> verbs[] = {
        {"start", Verb::start}, {"stop", Verb::stop},   {"restart", Verb::restart},
        {"roll", Verb::roll},   {"quiet", Verb::quiet}, {"resume", Verb::resume}};
    for (const auto& [name, verb] : verbs) {
        if (name == word) return verb;
    }
    return std::nullopt;
}

void act(const Backend& backend,
         const Request& request,
         Verb verb,
         const std::string& selector,
         const Respond& respond) {
    const auto wait = parse_wait(request.query);
    if (!wait) return respond(bad_query(request.query, "the only parameter is wait=true"));
    const auto error =
        backend.act(verb, selector, *wait,
                    [respond](const std::vector<VerbOutcome>& all) { respond(outcomes(all)); });
    if (error) respond(failure(*error));
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

// What follows "/v1/logs/".
void logs_route(const Backend& backend,
                const Request& request,
                std::string_view id,
                const Respond& respond) {
    if (request.method != "GET") return respond(wrong_method(request, "GET, HEAD"));
    const auto process = percent_decoded(id);
    if (!process || process->empty() || id.find('/') != std::string_view::npos)
        return respond(not_found(request.path));
    LogQuery query{.process = *process};
    for (const std::string& parameter : split(request.query, '&')) {
        if (parameter.empty()) continue;
        if (const auto taken = take_log_parameter(parameter, query); !taken)
            return respond(error_response(400, "bad_parameter", taken.error().message(),
                                          "stream=stdout|stderr, tail=LINES, follow=true"));
    }
    if (const auto error = backend.logs(query, respond)) respond(failure(*error));
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

void events_route(const Backend& backend, const Request& request, const Respond& respond) {
    if (request.method != "GET") return respond(wrong_method(request, "GET, HEAD"));
    if (!backend.events) return respond(not_supported(request.path));
    EventQuery query;
    query.is_sse = wants_sse(request);
    query.follows = query.is_sse;
    query.after = parse_number(request.last_event_id);
    for (const std::string& parameter : split(request.query, '&')) {
        if (parameter.empty()) continue;
        if (const auto taken = take_event_parameter(parameter, query); !taken)
            return respond(error_response(400, "bad_parameter", taken.error().message(),
                                          "follow=true, tail=COUNT, after=ID"));
    }
    respond(backend.events(query));
}

void metrics_route(const Backend& backend, const Request& request, const Respond& respond) {
    if (request.method != "GET") return respond(wrong_method(request, "GET, HEAD"));
    if (!backend.metrics) return respond(not_supported(request.path));
    backend.metrics([respond](const MetricsView& view) {
        respond({.body = metrics_text(view),
                 .content_type = "text/plain; version=0.0.4; charset=utf-8"});
    });
}

void signal(const Backend& backend,
            const Request& request,
            const std::string& selector,
            const Respond& respond) {
    const auto number = parse_signal(request.body);
    if (!number)
        return respond(
            error_response(400, "bad_signal", number.error().message(), number.error().hint()));
    const auto error =
        backend.signal(selector, *number,
                       [respond](const std::vector<VerbOutcome>& all) { respond(outcomes(all)); });
    if (error) respond(failure(*error));
}

void why_route(const Backend& backend,
               const Request& request,
               const std::string& id,
               const Respond& respond) {
    if (request.method != "GET") return respond(wrong_method(request, "GET, HEAD"));
    if (!backend.why) return respond(not_supported("why"));
    std::optional<Response> response;
    const auto error = backend.why(id, [&](const WhyView& view) { response = why(view); });
    respond(error ? failure(*error) : std::move(*response));
}

// What follows "/v1/processes/".
void process_route(const Backend& backend,
                   const Request& request,
                   std::string_view rest,
                   const Respond& respond) {
    const auto slash = rest.find('/');
    const auto selector = percent_decoded(rest.substr(0, slash));
    if (!selector || selector->empty())
        return respond(error_response(400, "bad_selector", "the process's name cannot be read",
                                      "percent-encode it: all, PROGRAM, PROCESS, PROGRAM:*"));
    if (slash == std::string_view::npos) {
        if (request.method != "GET") return respond(wrong_method(request, "GET, HEAD"));
        return respond(one_process(backend, *selector));
    }
    const std::string_view verb = rest.substr(slash + 1);
    if (verb == "why") return why_route(backend, request, *selector, respond);
    const bool is_signal = verb == "signal";
    const auto which = verb_called(verb);
    if (!is_signal && !which) return respond(not_found(request.path));
    if (request.method != "POST") return respond(wrong_method(request, "POST"));
    if (is_signal) return signal(backend, request, *selector, respond);
    act(backend, request, *which, *selector, respond);
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

// What follows "/v1/programs/": NAME/scale.
void program_route(const Backend& backend,
                   const Request& request,
                   std::string_view rest,
                   const Respond& respond) {
    const auto slash = rest.find('/');
    const auto program = percent_decoded(rest.substr(0, slash));
    if (!program || slash == std::string_view::npos || rest.substr(slash + 1) != "scale")
        return respond(not_found(request.path));
    if (request.method != "POST") return respond(wrong_method(request, "POST"));
    const auto wait = parse_wait(request.query);
    if (!wait) return respond(bad_query(request.query, "the only parameter is wait=true"));
    const auto processes = parse_processes(request.body);
    if (!processes)
        return respond(error_response(400, "bad_parameter", processes.error().message(),
                                      processes.error().hint()));
    const auto error =
        backend.scale(*program, *processes, *wait,
                      [respond](const std::vector<VerbOutcome>& all) { respond(outcomes(all)); });
    if (error) respond(failure(*error));
}

void reload_route(const Backend& backend, const Request& request, const Respond& respond) {
    if (request.method != "POST") return respond(wrong_method(request, "POST"));
    bool is_dry_run = false;
    bool wait = false;
    for (const std::string& part : split(request.query, '&')) {
        if (part == "dry_run=true" || part == "dry_run=1")
            is_dry_run = true;
        else if (part == "wait=true" || part == "wait=1")
            wait = true;
        else if (!part.empty() && part != "dry_run=false" && part != "wait=false")
            return respond(bad_query(part, "the parameters are dry_run=true and wait=true"));
    }
    backend.reload(is_dry_run, wait, [respond](const std::variant<Reloaded, ApiError>& result) {
        const auto* done = std::get_if<Reloaded>(&result);
        respond(done != nullptr ? reloaded(*done) : failure(std::get<ApiError>(result)));
    });
}

}  // namespace

void JsonRoutes::handle(const Request& request, const HttpServer::Respond& respond) const {
    const std::string_view path = request.path;
    constexpr std::string_view processes_path = "/v1/processes/";
    if (path.substr(0, processes_path.size()) == processes_path)
        return process_route(backend_, request, path.substr(processes_path.size()), respond);
    constexpr std::string_view logs_path = "/v1/logs/";
    if (path.substr(0, logs_path.size()) == logs_path)
        return logs_route(backend_, request, path.substr(logs_path.size()), respond);
    if (path == "/metrics") return metrics_route(backend_, request, respond);
    if (path == "/v1/events") return events_route(backend_, request, respond);
    if (registry_route(backend_.registry, request, respond)) return;
    constexpr std::string_view programs_path = "/v1/programs/";
    if (path.substr(0, programs_path.size()) == programs_path)
        return program_route(backend_, request, path.substr(programs_path.size()), respond);
    if (path == "/v1/reload") return reload_route(backend_, request, respond);
    if (path == "/v1/shutdown") {
        if (request.method != "POST") return respond(wrong_method(request, "POST"));
        // The answer first: the shutdown may end the connection.
        respond({.body = R"({"shutting_down":true})"});
        return backend_.shutdown();
    }
    const bool is_processes = path == "/v1/processes";
    const bool is_status = path == "/v1/status";
    const bool is_ready = path == "/readyz";
    if (!is_processes && !is_status && !is_ready && path != "/livez")
        return respond(not_found(path));
    if (request.method != "GET") return respond(wrong_method(request, "GET, HEAD"));
    if (is_processes) return respond(processes(backend_));
    if (is_status) return respond(status(backend_));
    if (is_ready) return respond(ready(backend_));
    respond({.body = R"({"live":true})"});
}

}  // namespace muster::control
