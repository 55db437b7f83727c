#pragma once

#include <string>
#include <variant>
#include <vector>

#include "client/command_line.h"
#include "client/control_verbs.h"

namespace muster::client {

// Asks the supervisor for the ids of the processes that the command line selects. Where there are
// none, or nobody answers: what is to be said of that.
std::variant<std::vector<std::string>, Printed> selected(const CommandLine& line);

}  // namespace muster::client
