#include "client/selected.h"

#include <fmt/format.h>

#include "base/text.h"
#include "client/asking.h"
#include "client/json_reading.h"

namespace muster::client {

namespace {

std::vector<std::string> ids_in(const CommandLine& line, const std::string& body) {
    Json json = parse_json(body);
    std::vector<std::string> ids;
    for (const Json& process : elements(json, "processes")) {
        const std::string id = text_of(process, "id");
        for (const std::string& selector : line.selectors) {
            if (!selects(selector, text_of(process, "program"), id, text_of(process, "group")))
                continue;
            ids.push_back(id);
            break;
        }
    }
    return ids;
}

Printed nobody_selected(const CommandLine& line) {
    return failed(
        line, exit_no_such_process,
        Error{fmt::format("no process or program is called '{}'", joined(line.selectors, " ")),
              "`muster status` lists them"});
}

}  // namespace

std::variant<std::vector<std::string>, Printed> selected(const CommandLine& line) {
    const auto processes = ask(line, "GET", "/v1/processes");
    if (!processes) return failed(line, exit_unreachable, processes.error());
    if (processes->status != 200) return refused(line, *processes);
    std::vector<std::string> ids = ids_in(line, processes->body);
    if (ids.empty()) return nobody_selected(line);
    return ids;
}

}  // namespace muster::client
