#pragma once
// The command line: verbs over the control socket, and those that need no supervisor.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace muster::client {

// What `muster run` was asked for. Without a command config_path is the file to read: it was looked
// for, and it exists or was named.
struct RunOptions {
    std::string config_path;
    std::vector<std::string> command;        // what follows `--`
    std::optional<std::string> registry;     // these four only with a command
    std::optional<std::uint32_t> processes;  //
    std::optional<std::string> redis;        //
    std::optional<std::string> restart;      //
    std::optional<std::string> control;      // -s: the control socket's path
    std::vector<std::string> words;          // the whole command line as given, secrets and all
};

// Exit codes of the command line.
enum ExitCode : int {
    exit_done = 0,
    exit_failed = 1,
    exit_usage = 2,  // wrong usage, invalid config
    exit_not_running = 3,
    exit_no_such_process = 4,
    exit_unreachable = 5,
};

// Does what the command line asks and returns the exit status. `run` is left to `supervise`; for
// all other verbs all signals are unblocked first.
int run(int argc, char** argv, const std::function<int(const RunOptions&)>& supervise);

}  // namespace muster::client
