#pragma once
// KEY=value lines as docker and systemd read them: # comments, an optional `export`, optional
// quotes.

#include <map>
#include <string>
#include <string_view>

#include "base/result.h"

namespace muster::daemon {

Result<std::map<std::string, std::string>> parse_env_file(std::string_view text);
Result<std::map<std::string, std::string>> read_env_file(const std::string& path);  // at most 1 MiB

}  // namespace muster::daemon
