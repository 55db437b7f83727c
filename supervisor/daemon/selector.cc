#include "daemon/selector.h"

namespace muster::daemon {

std::vector<ProcessId> selected(std::string_view selector,
                                const core::Fleet& fleet,
                                const std::vector<ProcessParts>& parts) {
    std::string_view program = selector;
    std::string_view process = selector;
    const auto colon = selector.find(':');
    if (colon != std::string_view::npos) {
        program = selector.substr(0, colon);
        process = selector.substr(colon + 1);
    }
    const bool whole_program = colon == std::string_view::npos || process == "*";
    std::vector<ProcessId> found;
    for (std::uint32_t i = 0; i < fleet.size(); ++i) {
        const ProcessId id{i};
        const bool is_of_program = fleet.program_name(fleet.program_of(id)) == program;
        const bool has_id =
            parts[i].id == process && (is_of_program || colon == std::string_view::npos);
        if (selector == "all" || (whole_program && is_of_program) || has_id) found.push_back(id);
    }
    return found;
}

}  // namespace muster::daemon
