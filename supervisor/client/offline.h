#pragma once
// The verbs that need no supervisor.

#include <string>

#include "base/result.h"
#include "client/command_line.h"
#include "client/control_verbs.h"

namespace muster::client {

// `named`, else $MUSTER_CONFIG, else ./muster.toml, else /etc/muster/muster.toml.
Result<std::string> find_config(const std::string& named);

Printed check(const CommandLine& line);

// A supervisord.conf or a Procfile as TOML, which `check` would accept; what is left out goes to
// stderr too. An output file that is there already is not touched.
Printed import_file(const CommandLine& line);

}  // namespace muster::client
