#pragma once

#include <string>
#include <string_view>

#include "client/control_verbs.h"

namespace muster::client {

// The last events, and with -f what follows, straight to stdout.
Printed show_events(const CommandLine& line);

// An event's JSON as a line for people: "2026-05-16T01:24:48.287Z WARN  exited process=shap_00 …".
// What is no event comes back as it is.
std::string event_line(std::string_view json);

}  // namespace muster::client
