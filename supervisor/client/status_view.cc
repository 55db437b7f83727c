#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/text.h"
#include "client/control_verbs.h"
#include "client/json_reading.h"
#include "client/table.h"

namespace muster::client {

namespace {

Colour colour_of(std::string_view state) {
    if (state == "RUNNING") return Colour::good;
    if (state == "FATAL") return Colour::bad;
    if (state == "STOPPED" || state == "EXITED") return Colour::dim;
    return Colour::busy;
}

std::string whole_number(const Json& process, std::string_view key) {
    const auto number = number_of(process, key);
    return number ? fmt::format("{:.0f}", *number) : "-";
}

std::string duration(const Json& process, std::string_view key) {
    const auto seconds = number_of(process, key);
    if (!seconds) return "-";
    return short_duration(
        std::chrono::duration_cast<Duration>(std::chrono::duration<double>(*seconds)));
}

std::string next_try(const Json& process) {
    const std::string held = text_of(process, "held");
    if (!held.empty()) return fmt::format("held: {}", held);
    const std::string delay = duration(process, "next_try_in");
    return delay == "-" ? delay : fmt::format("in {}", delay);
}

constexpr std::ptrdiff_t quiet_column = 7;

std::vector<Cell> row_of(const Json& process) {
    const std::string state = text_of(process, "state");
    return {{text_of(process, "id")},
            {state, colour_of(state)},
            {whole_number(process, "pid")},
            {duration(process, "uptime")},
            {whole_number(process, "restarts")},
            {or_dash(text_of(process, "name"))},
            {or_dash(text_of(process, "health"))},
            {is_true(process, "quiet") ? "quiet" : ""},
            {next_try(process)}};
}

// The column is there only where somebody is.
void drop_quiet(std::vector<std::vector<Cell>>& rows) {
    const bool somebody_is = std::any_of(rows.begin() + 1, rows.end(), [](const auto& row) {
        return !row[std::size_t{quiet_column}].text.empty();
    });
    if (somebody_is) return;
    for (auto& row : rows) row.erase(row.begin() + quiet_column);
}

// What concerns all processes, under the table.
std::string remarks(const Json& json) {
    std::string text;
    if (text_of(member(json, "supervisor"), "state") == "shutting_down") text += "shutting down\n";
    for (const Json& each : member(json, "autoscale")) {
        text += printable(fmt::format("{}: {:.0f} {}, {}", text_of(each, "program"),
                                      number_of(each, "processes").value_or(0),
                                      number_of(each, "processes") == 1 ? "process" : "processes",
                                      text_of(each, "why"))) +
                "\n";
    }
    const Json& redis = member(json, "redis");
    if (text_of(redis, "state") != "away") return text;
    const std::string why = text_of(redis, "error");
    text += why.empty() ? "Redis is away" : fmt::format("Redis is away: {}", why);
    const auto debts = number_of(redis, "debts");
    if (debts && *debts > 0) text += fmt::format("; {:.0f} deaths are still to be told", *debts);
    return text + "\n";
}

bool is_selected(const std::vector<std::string>& selectors, const Json& process) {
    return selectors.empty() ||
           std::any_of(selectors.begin(), selectors.end(), [&](const std::string& selector) {
               return selects(selector, text_of(process, "program"), text_of(process, "id"),
                              text_of(process, "group"));
           });
}

// A selector that means nothing; "" = each means something.
std::string unknown_selector(const std::vector<std::string>& selectors,
                             const Json::array_t& processes) {
    for (const std::string& selector : selectors) {
        if (selector != "all" &&
            std::none_of(processes.begin(), processes.end(),
                         [&](const Json& process) { return is_selected({selector}, process); }))
            return selector;
    }
    return {};
}

std::string no_such(const std::string& selector, const Json::array_t& processes) {
    std::vector<std::string> names;
    for (const Json& process : processes) {
        names.push_back(text_of(process, "id"));
        names.push_back(text_of(process, "program"));
    }
    const std::vector<std::string_view> views(names.begin(), names.end());
    const std::string_view meant = nearest(selector, views);
    std::string text = fmt::format("muster status: there is no process '{}'", selector);
    text += meant.empty() ? "\n" : fmt::format("; did you mean {}?\n", meant);
    return text;
}

}  // namespace

bool selects(std::string_view selector,
             std::string_view program,
             std::string_view process,
             std::string_view group) {
    const auto is_whole = [&](std::string_view name) {
        return name == program || (!group.empty() && name == group);
    };
    if (selector == "all" || selector == process || is_whole(selector)) return true;
    const auto colon = selector.rfind(':');
    if (colon == std::string_view::npos || !is_whole(selector.substr(0, colon))) return false;
    const std::string_view which = selector.substr(colon + 1);
    return which == "*" || which == process;
}

Printed show_status(const CommandLine& line, const std::string& body, bool with_colour) {
    Json json = parse_json(body);
    Json::array_t& processes = elements(json, "processes");
    if (!json.is_object())
        return {.status = exit_failed,
                .out = {},
                .err = "muster status: the answer is not what a supervisor says\n"};
    const std::string unknown = unknown_selector(line.selectors, processes);
    if (!unknown.empty())
        return {.status = exit_no_such_process, .out = {}, .err = no_such(unknown, processes)};
    Json::array_t chosen;
    for (Json& each : processes) {
        if (is_selected(line.selectors, each)) chosen.push_back(std::move(each));
    }
    const bool all_run = std::all_of(chosen.begin(), chosen.end(), [](const Json& each) {
        return text_of(each, "state") == "RUNNING";
    });
    Printed printed{.status = all_run ? exit_done : exit_not_running, .out = {}, .err = {}};
    if (line.json) {
        processes = std::move(chosen);
        printed.out = to_text(json) + "\n";
        return printed;
    }
    std::vector<std::vector<Cell>> rows{{{"PROCESS"},
                                         {"STATE"},
                                         {"PID"},
                                         {"UPTIME"},
                                         {"RESTARTS"},
                                         {"NAME"},
                                         {"HEALTH"},
                                         {"QUIET"},
                                         {"NEXT TRY"}}};
    for (const Json& each : chosen) rows.push_back(row_of(each));
    drop_quiet(rows);
    printed.out = table(rows, with_colour) + remarks(json);
    return printed;
}

}  // namespace muster::client
