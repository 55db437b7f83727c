#pragma once
// How a transition reads in our log.

#include <string>

#include "base/log.h"
#include "core/actions.h"
#include "daemon/process_parts.h"

namespace muster::daemon {

// Its exit status says something: a child has ended, and nobody had asked it to.
bool tells_of_an_exit(core::Cause cause);
// FATAL, or a BACKOFF that is not as configured.
bool tells_of_trouble(const core::Transition& transition);

// One line. It takes the death out of the parts, where it tells of one.
void log_transition(Log& log,
                    const core::Transition& transition,
                    const std::string& program,
                    ProcessParts& parts);

}  // namespace muster::daemon
