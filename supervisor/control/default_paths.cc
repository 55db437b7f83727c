#include "control/default_paths.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>

namespace muster::control {

std::vector<std::string> default_control_paths() {
    const uid_t uid = geteuid();
    if (uid == 0) return {"/run/muster/control.sock"};
    std::vector<std::string> paths;
    const char* runtime = std::getenv("XDG_RUNTIME_DIR");
    if (runtime != nullptr && runtime[0] == '/')  // a relative one is to be ignored, says its spec
        paths.push_back(fmt::format("{}/muster/control.sock", runtime));
    paths.push_back(fmt::format("/tmp/muster-{}/control.sock", uid));
    return paths;
}

}  // namespace muster::control
