#pragma once
// Arguments to a plain struct. The only file that knows CLI11 is its source.

#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "client/commands.h"

namespace muster::client {

enum class Verb : std::uint8_t {
    run,
    check,
    status,
    start,
    stop,
    restart,
    roll,
    scale,
    quiet,
    resume,
    reload,
    signal,
    why,
    logs,
    events,
    health,
    workers,
    fleet,
    sweep,
    shutdown,
    version,
    import,
};

// What `muster sweep` was asked for.
struct SweepWanted {
    std::string redis;            // "" = of the environment, else of the configuration
    std::string registry = "rq";  // whose
    std::string prefix;           // of muster's own keys; "" = of the configuration, else "muster"
    bool applies = false;
    bool waits = false;  // for the second look
};

struct CommandLine {
    Verb verb = Verb::version;
    std::string verb_name;
    std::vector<std::string> selectors;
    std::string signal_name;
    int signal = 0;
    bool json = false;
    bool waits = true;
    bool dry_run = false;
    std::vector<std::pair<std::string, std::uint32_t>> scales;  // program, processes
    bool prints = false;
    bool connects = false;
    bool watches = false;    // status
    bool only_live = false;  // health
    bool follows = false;    // logs, events
    bool is_stderr = false;  // logs
    std::size_t lines = 100;
    std::string config_path;  // "" = to be looked for
    std::string import_path;
    std::string import_to;    // "" = stdout
    std::string socket_path;  // "" = to be looked for
    RunOptions run;
    SweepWanted sweep;
    bool only_stale = false;
};

// Help that was asked for (status 0, to stdout) or a wrong usage (status 2, to stderr).
struct Message {
    int status;
    std::string text;
};

std::variant<CommandLine, Message> parse_command_line(const std::vector<std::string>& arguments);

}  // namespace muster::client
