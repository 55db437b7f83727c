#pragma once
// "all", a program, a process id, "program:*", "program:process" -> the processes meant, in order.

#include <string_view>
#include <vector>

#include "base/id.h"
#include "core/fleet.h"
#include "daemon/process_parts.h"

namespace muster::daemon {

// Empty where nothing has that name.
std::vector<ProcessId> selected(std::string_view selector,
                                const core::Fleet& fleet,
                                const std::vector<ProcessParts>& parts);

}  // namespace muster::daemon
