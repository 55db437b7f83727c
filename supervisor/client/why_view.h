#pragma once

#include <string>

#include "client/control_verbs.h"

namespace muster::client {

// Why the selected processes are in their state, each with its last deaths.
Printed show_why(const CommandLine& line);

// The answer to GET /v1/processes/ID/why, for people.
std::string why_text(const std::string& body);

}  // namespace muster::client
