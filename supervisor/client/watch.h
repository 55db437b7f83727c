#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "client/control_verbs.h"

namespace muster::client {

// `status --watch`: the table, drawn anew on each event and each second, until it is interrupted or
// the supervisor has gone. Only on a terminal.
Printed watch_status(const CommandLine& line);

// A text as one screen: from the first line, what was there before wiped out, and what does not fit
// left away.
std::string screen(std::string_view text, std::size_t rows);

}  // namespace muster::client
