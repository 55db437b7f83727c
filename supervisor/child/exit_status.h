#pragma once
// How a child ended. The wait status is decoded once, here.

#include <csignal>
#include <string>
#include <variant>

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

ExitStatus decode(const siginfo_t& info);  // as waitid(…, WEXITED) fills it in

std::string describe(const ExitStatus& status);  // "exit:1", "signal:KILL", "signal:SEGV(core)"

}  // namespace muster::child
