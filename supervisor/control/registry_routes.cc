#include "control/registry_routes.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>

#include "base/text.h"
#include "control/json_writer.h"
#include "control/percent.h"

namespace muster::control {

namespace {

using Respond = HttpServer::Respond;

void write(JsonWriter& json, std::string_view key, std::string_view value) {
    json.key(key);
    json.string(value);
}

void write_or_null(JsonWriter& json, std::string_view key, std::string_view value) {
    json.key(key);
    value.empty() ? json.null() : json.string(value);
}

void write(JsonWriter& json, std::string_view key, std::uint64_t value) {
    json.key(key);
    json.number(value);
}

void write(JsonWriter& json, std::string_view key, Duration value) {
    json.key(key);
    json.seconds(value);
}

std::string owner_of(const WorkerView& worker) {
    if (worker.instance.empty() || worker.process.empty()) return worker.instance;
    return worker.instance + "/" + worker.process;
}

std::string workers_json(const WorkersPage& page) {
    JsonWriter json;
    json.begin_object();
    json.key("workers");
    json.begin_array();
    for (const WorkerView& worker : page.workers) {
        json.begin_object();
        write(json, "name", worker.name);
        write(json, "kind", worker.kind);
        write(json, "state", worker.state);
        write_or_null(json, "owner", owner_of(worker));
        write_or_null(json, "instance", worker.instance);
        write_or_null(json, "process", worker.process);
        write_or_null(json, "host", worker.host);
        write_or_null(json, "pid", worker.pid);
        write_or_null(json, "activity", worker.activity);
        write_or_null(json, "queues", worker.queues);
        write(json, "why", worker.why);
        json.end_object();
    }
    json.end_array();
    write_or_null(json, "next", page.next);
    json.end_object();
    return json.take();
}

std::string fleet_json(const std::vector<InstanceView>& instances) {
    JsonWriter json;
    json.begin_object();
    json.key("instances");
    json.begin_array();
    for (const InstanceView& instance : instances) {
        const bool is_alive = instance.lease_left > Duration{};
        json.begin_object();
        write(json, "instance", instance.id);
        write(json, "state", is_alive ? std::string_view{"alive"} : std::string_view{"dead"});
        write(json, "service", instance.service);
        write(json, "host", instance.host);
        write(json, "version", instance.version);
        write(json, "started_at", format_wall_time(instance.started_at));
        write(json, "lease_left", instance.lease_left);
        write(json, "workers", instance.workers);
        json.key("programs");
        json.begin_array();
        for (const auto& program : instance.programs) {
            json.begin_object();
            write(json, "name", program.name);
            write(json, "registry", program.kind);
            write(json, "processes", std::uint64_t{program.processes});
            json.end_object();
        }
        json.end_array();
        json.end_object();
    }
    json.end_array();
    json.end_object();
    return json.take();
}

Response failure(const ApiError& error) {
    return error_response(error.status, error.code, error.message, error.hint);
}

template <class T, class ToJson>
Answered<T> answering(Respond respond, ToJson to_json) {
    return [respond = std::move(respond), to_json](std::variant<T, ApiError> answer) {
        if (const auto* error = std::get_if<ApiError>(&answer)) return respond(failure(*error));
        respond({.body = to_json(std::get<T>(answer))});
    };
}

Response bad_parameter(std::string_view given, std::string_view hint) {
    return error_response(400, "bad_parameter", fmt::format("'{}' is not understood", given), hint);
}

std::optional<bool> truth_of(std::string_view value) {
    if (value == "true" || value == "1") return true;
    if (value == "false" || value == "0") return false;
    return std::nullopt;
}

// One of the query's parameters into what is asked for; false where it is not understood.
bool take(WorkersQuery& wanted, std::string_view parameter) {
    const auto equals = parameter.find('=');
    if (equals == std::string_view::npos) return false;
    const std::string_view key = parameter.substr(0, equals);
    const std::string_view value = parameter.substr(equals + 1);
    if (key == "stale") {
        const auto truth = truth_of(value);
        wanted.only_stale = truth.value_or(false);
        return truth.has_value();
    }
    if (key == "after") {
        auto decoded = percent_decoded(value);
        if (decoded) wanted.after = std::move(*decoded);
        return !wanted.after.empty();
    }
    if (key != "limit") return false;
    const auto [end, code] =
        std::from_chars(value.data(), value.data() + value.size(), wanted.limit);
    return code == std::errc{} && end == value.data() + value.size() && wanted.limit > 0 &&
           wanted.limit <= 1000;
}

void workers(const RegistryBackend& backend, const Request& request, const Respond& respond) {
    WorkersQuery wanted;
    for (const std::string& parameter : split(request.query, '&')) {
        if (!parameter.empty() && !take(wanted, parameter))
            return respond(bad_parameter(
                parameter, "the parameters are stale=true, limit=1..1000 and after=NEXT"));
    }
    backend.workers(std::move(wanted), answering<WorkersPage>(respond, workers_json));
}

void fleet(const RegistryBackend& backend, const Request& request, const Respond& respond) {
    if (!request.query.empty())
        return respond(bad_parameter(request.query, "there are no parameters"));
    backend.fleet(answering<std::vector<InstanceView>>(respond, fleet_json));
}

void sweep(const RegistryBackend& backend, const Request& request, const Respond& respond) {
    std::string_view query = request.query;
    std::optional<bool> applies = query.empty() ? std::optional{false} : std::nullopt;
    if (query.starts_with("apply=")) applies = truth_of(query.substr(6));
    if (!applies) return respond(bad_parameter(query, "the only parameter is apply=true"));
    backend.sweep(*applies, answering<SweepView>(respond, sweep_json));
}

}  // namespace

std::string sweep_json(const SweepView& sweep) {
    JsonWriter json;
    json.begin_object();
    json.key("applied");
    json.boolean(sweep.applied);
    write(json, "seen", sweep.seen);
    write(json, "stale", sweep.stale);
    write(json, "removed", sweep.removed);
    write(json, "due", sweep.due);
    write(json, "waiting", sweep.waiting);
    write(json, "left", sweep.left);
    json.key("due_in");
    sweep.waiting > 0 ? json.seconds(sweep.next_due) : json.null();
    write_or_null(json, "blind_spot", sweep.blind_spot);
    json.key("entries");
    json.begin_array();
    for (const StaleView& entry : sweep.entries) {
        json.begin_object();
        write(json, "name", entry.name);
        write(json, "set", entry.set);
        write(json, "fate", entry.fate);
        json.key("due_in");
        entry.fate == "waiting" ? json.seconds(entry.due_in) : json.null();
        write(json, "why", entry.why);
        json.end_object();
    }
    json.end_array();
    write(json, "more", sweep.stale - std::min<std::uint64_t>(sweep.stale, sweep.entries.size()));
    json.end_object();
    return json.take();
}

bool registry_route(const RegistryBackend& backend,
                    const Request& request,
                    const Respond& respond) {
    const bool is_sweep = request.path == "/v1/sweep";
    const bool is_workers = request.path == "/v1/workers";
    if (!is_sweep && !is_workers && request.path != "/v1/fleet") return false;
    const std::string_view method = is_sweep ? "POST" : "GET";
    if (request.method != method) {
        Response refusal =
            error_response(405, "method_not_allowed",
                           fmt::format("{} does not answer {}", request.path, request.method),
                           is_sweep ? "use POST" : "use GET, HEAD");
        refusal.allow = is_sweep ? "POST" : "GET, HEAD";
        respond(std::move(refusal));
    } else if (is_sweep) {
        sweep(backend, request, respond);
    } else if (is_workers) {
        workers(backend, request, respond);
    } else {
        fleet(backend, request, respond);
    }
    return true;
}

}  // namespace muster::control
