#pragma once
// `muster sweep`: looks for stale registrations in a Redis, and clears them if it is told to. Works
// alone: no supervisor, no adoption; for a deploy hook, an init container, a cron job.

#include <string>
#include <vector>

#include "client/command_line.h"
#include "client/control_verbs.h"
#include "control/registry_api.h"

namespace muster::client {

Printed sweep(const CommandLine& line);

// What a sweep found, as a table with a sum and what to do next.
std::string sweep_table(const control::SweepView& sweep, bool with_colour);

}  // namespace muster::client
