#include "child/exit_status.h"

#include <fmt/format.h>

#include "base/text.h"

namespace muster::child {

ExitStatus decode(const siginfo_t& info) {
    if (info.si_code == CLD_EXITED) return Exited{info.si_status};
    return Killed{info.si_status, info.si_code == CLD_DUMPED};
}

std::string describe(const ExitStatus& status) {
    if (const auto* exited = std::get_if<Exited>(&status)) {
        return fmt::format("exit:{}", exited->code);
    }
    const Killed& killed = *std::get_if<Killed>(&status);
    return fmt::format("signal:{}{}", signal_name(killed.signal), killed.core ? "(core)" : "");
}

}  // namespace muster::child
