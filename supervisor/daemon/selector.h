#pragma once
// "all", a program, a group, a process id, "program:*", "group:process" … -> the processes meant.

#include <string_view>
#include <vector>

#include "base/id.h"
#include "config/config.h"
#include "core/fleet.h"
#include "daemon/process_parts.h"

namespace muster::daemon {

// In the order of their starts: by priority, then as they came. Empty where nothing has that name.
std::vector<ProcessId> selected(std::string_view selector,
                                const core::Fleet& fleet,
                                const Parts& parts,
                                const std::vector<config::Group>& groups);

}  // namespace muster::daemon
