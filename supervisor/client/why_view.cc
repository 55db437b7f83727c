#include "client/why_view.h"

#include <fmt/format.h>

#include <utility>
#include <variant>
#include <vector>

#include "base/text.h"
#include "client/asking.h"
#include "client/json_reading.h"
#include "client/selected.h"
#include "client/table.h"
#include "control/percent.h"

namespace muster::client {

namespace {

Duration seconds_of(const Json& object, std::string_view key) {
    return std::chrono::duration_cast<Duration>(
        std::chrono::duration<double>(number_of(object, key).value_or(0)));
}

// "3 ms" or "2m 05s".
std::string span(const Json& object, std::string_view key) {
    const Duration duration = seconds_of(object, key);
    if (duration < std::chrono::seconds{10})
        return fmt::format("{:.3f}s", std::chrono::duration<double>(duration).count());
    return short_duration(duration);
}

std::string size_text(double bytes) {
    return fmt::format("{:.1f} MiB", bytes / (1024.0 * 1024.0));
}

std::string texts(const Json& array) {
    std::vector<std::string> all;
    for (const Json& each : array) {
        if (const auto* text = each.get_ptr<const std::string*>()) all.push_back(*text);
    }
    return joined(all, ", ");
}

void add(std::string& out, std::string_view label, const std::string& text) {
    if (!text.empty()) out += printable(fmt::format("    {:<9}{}", label, text)) + "\n";
}

void add_lines(std::string& out, std::string_view label, const std::string& text) {
    std::string_view name = label;
    for (const std::string& line : split(text, '\n')) {
        if (line.empty()) continue;
        add(out, name, "| " + line);
        name = "";
    }
}

std::string cleaned(const Json& death) {
    const Json& done = member(death, "cleaned");
    if (!done.is_object()) return {};
    std::string text =
        fmt::format("{}, {} after the death", text_of(done, "verdict"), span(done, "after"));
    const std::string detail = text_of(done, "detail");
    return detail.empty() ? text : fmt::format("{} ({})", text, detail);
}

std::string outcome(const Json& death) {
    std::string next = text_of(death, "next");
    if (next != "BACKOFF") return next;
    const Duration pause = seconds_of(death, "pause");
    return pause > Duration{} ? fmt::format("{} for {}", next, span(death, "pause"))
                              : "started again at once";
}

std::string death_text(const Json& death) {
    std::string out = printable(
        fmt::format("  {}  {} ({}) after {}, pid {:.0f}, {}", text_of(death, "at"),
                    text_of(death, "reason"), text_of(death, "cause"), span(death, "uptime"),
                    number_of(death, "pid").value_or(0), text_of(death, "name")));
    out += '\n';
    const std::string oom = text_of(death, "oom");
    const std::string evidence = text_of(death, "oom_evidence");
    if (oom != "no") add(out, "OOM", evidence.empty() ? oom : fmt::format("{}: {}", oom, evidence));
    add(out, "memory",
        fmt::format("at most {} in one of its processes; CPU {}",
                    size_text(number_of(death, "peak_memory").value_or(0)), span(death, "cpu")));
    add(out, "job", texts(member(death, "jobs")));
    add(out, "registry", cleaned(death));
    add(out, "then", outcome(death));
    add_lines(out, "stdout", text_of(death, "last_stdout"));
    add_lines(out, "stderr", text_of(death, "last_stderr"));
    return out;
}

std::string now_text(const Json& json) {
    const Json& process = member(json, "process");
    std::string text = fmt::format("{}  {}", text_of(process, "id"), text_of(process, "state"));
    if (const auto pid = number_of(process, "pid"))
        text += fmt::format(", pid {:.0f}, up {}, {}", *pid, span(process, "uptime"),
                            text_of(process, "name"));
    text += fmt::format(", {:.0f} restarts", number_of(process, "restarts").value_or(0));
    if (const auto failures = number_of(process, "failures"); failures && *failures > 0)
        text += fmt::format(", {:.0f} failures in a row", *failures);
    if (number_of(process, "next_try_in")) text += ", next try in " + span(process, "next_try_in");
    const std::string held = text_of(process, "held");
    if (!held.empty()) text += ", held: " + held;
    std::string out = printable(text) + "\n";
    const std::string trouble = text_of(json, "trouble");
    if (!trouble.empty() && !number_of(process, "pid"))
        out += printable("  because: " + trouble) + "\n";
    const std::string size = text_of(json, "size");
    if (!size.empty()) out += printable("  autoscale: " + size) + "\n";
    return out;
}

}  // namespace

std::string why_text(const std::string& body) {
    Json json = parse_json(body);
    if (!json.is_object()) return "the answer is not what a supervisor says\n";
    std::string out = now_text(json);
    const Json::array_t& deaths = elements(json, "deaths");
    out += deaths.empty() ? "  no deaths so far\n" : "  last deaths:\n";
    for (const Json& death : deaths) out += death_text(death);
    return out;
}

Printed show_why(const CommandLine& line) {
    auto chosen = selected(line);
    if (auto* nobody = std::get_if<Printed>(&chosen)) return std::move(*nobody);
    const auto& ids = std::get<std::vector<std::string>>(chosen);
    Printed printed;
    Json all = Json::array();
    for (const std::string& id : ids) {
        const auto reply =
            ask(line, "GET", fmt::format("/v1/processes/{}/why", control::percent_encoded(id)));
        if (!reply) return failed(line, exit_unreachable, reply.error());
        if (reply->status != 200) return refused(line, *reply);
        if (line.json)
            all.push_back(parse_json(reply->body));
        else
            printed.out += why_text(reply->body);
    }
    if (line.json) printed.out = to_text(Json{{"processes", std::move(all)}}) + "\n";
    return printed;
}

}  // namespace muster::client
