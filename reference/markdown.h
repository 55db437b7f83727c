#pragma once
// The tables of keys and verbs in docs/ and README.md.

#include <string>
#include <string_view>

namespace muster::reference {

std::string docs_of_file();     // docs/configuration.md
std::string docs_of_command();  // docs/commands.md
// README.md with the list of the verbs between its two marks made anew.
std::string with_verbs(std::string_view readme);

}  // namespace muster::reference
