#pragma once
// Pieces of a TOML text, for those that write one (import, not the printer of what is in effect).

#include <string>
#include <string_view>
#include <vector>

namespace muster::config {

// A basic string with its quotes; control characters are escaped.
std::string toml_string(std::string_view text);
std::string toml_array(const std::vector<std::string>& texts);
// Bare where it may be, else in quotes.
std::string toml_key(std::string_view key);
// "# …" lines.
std::string toml_comment(const std::vector<std::string>& lines);

}  // namespace muster::config
