#include "client/registry_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "client/table.h"

namespace muster::client {

namespace {

Colour worker_colour(std::string_view state) {
    if (state == "alive") return Colour::good;
    return state == "unknown" ? Colour::busy : Colour::bad;
}

std::string programs_of(const Json& instance) {
    std::string text;
    const Json& programs = member(instance, "programs");
    if (!programs.is_array()) return "-";
    for (const Json& program : programs) {
        if (!text.empty()) text += ' ';
        text += fmt::format("{}={:.0f}", text_of(program, "name"),
                            number_of(program, "processes").value_or(1));
    }
    return or_dash(std::move(text));
}

}  // namespace

std::string workers_table(const Json& workers, bool with_colour) {
    if (workers.empty()) return "no workers\n";
    std::vector<std::vector<Cell>> rows{
        {{"NAME"}, {"STATE"}, {"OWNER"}, {"HOST"}, {"PID"}, {"ACTIVITY"}, {"WHY"}}};
    for (const Json& worker : workers) {
        const std::string state = text_of(worker, "state");
        rows.push_back({{text_of(worker, "name")},
                        {state, worker_colour(state)},
                        {or_dash(text_of(worker, "owner"))},
                        {or_dash(text_of(worker, "host"))},
                        {or_dash(text_of(worker, "pid"))},
                        {or_dash(text_of(worker, "activity"))},
                        {text_of(worker, "why")}});
    }
    return table(rows, with_colour);
}

std::string fleet_table(const Json& instances, bool with_colour) {
    if (!instances.is_array() || instances.empty()) return "no instances\n";
    std::vector<std::vector<Cell>> rows{{{"INSTANCE"},
                                         {"STATE"},
                                         {"HOST"},
                                         {"VERSION"},
                                         {"WORKERS"},
                                         {"LEASE LEFT"},
                                         {"PROGRAMS"}}};
    for (const Json& instance : instances) {
        const std::string state = text_of(instance, "state");
        const double left = number_of(instance, "lease_left").value_or(0);
        rows.push_back(
            {{text_of(instance, "instance")},
             {state, worker_colour(state)},
             {or_dash(text_of(instance, "host"))},
             {or_dash(text_of(instance, "version"))},
             {fmt::format("{:.0f}", number_of(instance, "workers").value_or(0))},
             {left > 0 ? fmt::format("{:.0f}s", left) : fmt::format("over since {:.0f}s", -left)},
             {programs_of(instance)}});
    }
    return table(rows, with_colour);
}

}  // namespace muster::client
