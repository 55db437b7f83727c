#pragma once
// The man pages, in man(7)'s macros.

#include <string>

namespace muster::reference {

std::string man_of_command();  // muster(1)
std::string man_of_file();     // muster.toml(5)

}  // namespace muster::reference
