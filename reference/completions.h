#pragma once
// What shells offer after "muster": verbs, options, and the names that the running supervisor has.

#include <string>

namespace muster::reference {

std::string completion_for_bash();
std::string completion_for_zsh();
std::string completion_for_fish();

}  // namespace muster::reference
