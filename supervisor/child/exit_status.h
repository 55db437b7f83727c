#pragma once
// How a child ended. The wait status is decoded once, here.

#include <csignal>
#include <cstdint>
#include <string>
#include <variant>

#include "base/time.h"

namespace muster::child {

struct Exited {
    int code;
    friend bool operator==(const Exited&, const Exited&) = default;
};
struct Killed {
    int signal;
    bool core;  // dumped
    friend bool operator==(const Killed&, const Killed&) = default;
};
using ExitStatus = std::variant<Exited, Killed>;

// What it and those of its children that it waited for have used, as the kernel says it at the end.
struct Usage {
    Duration cpu{0};
    // Of the largest of these processes, not their sum; never less than what we had ourselves at
    // the spawn, because the kernel counts the moment before the exec, too.
    std::uint64_t peak_bytes = 0;
};

ExitStatus decode(const siginfo_t& info);  // as waitid(…, WEXITED) fills it in

std::string describe(const ExitStatus& status);  // "exit:1", "signal:KILL", "signal:SEGV(core)"

}  // namespace muster::child
