#pragma once

#include <string>
#include <vector>

namespace muster::control {

// Where the control socket is when nobody names one, best first: the supervisor takes the first
// that can be had, the client tries each. Root: /run/muster; else $XDG_RUNTIME_DIR/muster, then
// /tmp/muster-UID.
std::vector<std::string> default_control_paths();

}  // namespace muster::control
