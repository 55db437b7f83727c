#include "control/json_answers.h"

#include <fmt/format.h>

#include <optional>
#include <string_view>

#include "base/text.h"
#include "control/json_writer.h"

namespace muster::control {

namespace {

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

void write_words(JsonWriter& json, std::string_view key, const std::vector<std::string>& words) {
    json.key(key);
    json.begin_array();
    for (const std::string& word : words) json.string(word);
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
    write_words(json, "handed_back", cleaned->handed_back);
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
    if (death.cleaned) {
        write_words(json, "jobs", death.cleaned->handed_back);
    } else {
        json.key("jobs");
        json.null();
    }
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

void write_scaled(JsonWriter& json, const std::vector<ScaledView>& scaled) {
    if (scaled.empty()) return;
    json.key("autoscale");
    json.begin_array();
    for (const ScaledView& each : scaled) {
        json.begin_object();
        json.key("program");
        json.string(each.program);
        json.key("processes");
        json.number(each.processes);
        json.key("min");
        json.number(each.min);
        json.key("max");
        json.number(each.max);
        json.key("why");
        json.string(each.why);
        json.end_object();
    }
    json.end_array();
}

}  // namespace

Response processes_answer(const Backend& backend) {
    JsonWriter json;
    json.reserve(usual_body);
    json.begin_object();
    write_processes(json, backend);
    json.end_object();
    return {.body = json.take()};
}

Response process_answer(const Backend& backend, const std::string& id) {
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

Response why_answer(const WhyView& view) {
    JsonWriter json;
    json.begin_object();
    json.key("process");
    write_process(json, view.process);
    write_optional(json, "trouble", view.trouble);
    if (!view.size.empty()) write_optional(json, "size", std::string_view(view.size));
    json.key("deaths");
    json.begin_array();
    for (const Death* death : view.deaths) write_death(json, *death);
    json.end_array();
    json.end_object();
    return {.body = json.take()};
}

Response status_answer(const Backend& backend) {
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
    write_scaled(json, view.scaled);
    write_processes(json, backend);
    json.end_object();
    return {.body = json.take()};
}

Response ready_answer(const Backend& backend) {
    const std::vector<std::string> missing = backend.not_ready();
    JsonWriter json;
    json.begin_object();
    json.key("ready");
    json.boolean(missing.empty());
    write_words(json, "not_ready", missing);
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

Response outcomes_answer(const std::vector<VerbOutcome>& all) {
    JsonWriter json;
    json.begin_object();
    write_outcomes(json, all);
    json.end_object();
    return {.body = json.take()};
}

Response reloaded_answer(const Reloaded& done) {
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

}  // namespace muster::control
