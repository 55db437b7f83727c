#include "daemon/selector.h"

#include <algorithm>

namespace muster::daemon {

std::vector<ProcessId> selected(std::string_view selector,
                                const core::Fleet& fleet,
                                const Parts& parts,
                                const std::vector<config::Group>& groups) {
    std::string_view whole = selector;  // a program or a group
    std::string_view process = selector;
    const auto colon = selector.find(':');
    if (colon != std::string_view::npos) {
        whole = selector.substr(0, colon);
        process = selector.substr(colon + 1);
    }
    const auto group = std::find_if(groups.begin(), groups.end(),
                                    [&](const config::Group& each) { return each.name == whole; });
    const bool means_whole = colon == std::string_view::npos || process == "*";
    const auto is_meant = [&](const std::string& program) {
        if (program == whole) return true;
        return group != groups.end() && std::find(group->programs.begin(), group->programs.end(),
                                                  program) != group->programs.end();
    };
    std::vector<ProcessId> found;
    for (std::uint32_t p = 0; p < fleet.program_count(); ++p) {
        const ProgramId program{p};
        const bool is_whole = is_meant(fleet.program_name(program));
        for (const ProcessId id : fleet.processes_of(program)) {
            const bool has_id =
                parts[id.value()].id == process && (is_whole || colon == std::string_view::npos);
            if (selector == "all" || (means_whole && is_whole) || has_id) found.push_back(id);
        }
    }
    std::stable_sort(found.begin(), found.end(), [&](ProcessId a, ProcessId b) {
        return fleet.plan(fleet.program_of(a)).priority < fleet.plan(fleet.program_of(b)).priority;
    });
    return found;
}

}  // namespace muster::daemon
