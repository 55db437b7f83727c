#pragma once
// The verbs that talk to a running supervisor, and what they print.

#include <string>
#include <vector>

#include "client/command_line.h"

namespace muster::client {

struct Printed {
    int status = exit_done;
    std::string out;  // for stdout
    std::string err;  // for stderr
};

// Every verb but run, check and version.
Printed control_verb(const CommandLine& line);

// Whether a selector means this process: all, PROGRAM, GROUP, PROCESS, and PROGRAM or GROUP with :*
// or :PROCESS. "" = it is in no group.
bool selects(std::string_view selector,
             std::string_view program,
             std::string_view process,
             std::string_view group = {});

// The answer to GET /v1/status as a table, or as JSON; only what was selected.
Printed show_status(const CommandLine& line, const std::string& body, bool with_colour);

}  // namespace muster::client
