#include "client/offline.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>

#include "config/load.h"
#include "config/print.h"

namespace muster::client {

Result<std::string> find_config(const std::string& named) {
    if (!named.empty()) return named;
    const char* variable = std::getenv("MUSTER_CONFIG");
    if (variable != nullptr && variable[0] != '\0') return std::string(variable);
    for (const char* path : {"muster.toml", "/etc/muster/muster.toml"}) {
        if (access(path, F_OK) == 0) return std::string(path);
    }
    return Error{"no configuration: there is neither ./muster.toml nor /etc/muster/muster.toml",
                 "name one with -c FILE or $MUSTER_CONFIG; a single command needs no file: muster "
                 "run -- COMMAND"};
}

Printed check(const CommandLine& line) {
    const auto path = find_config(line.config_path);
    if (!path)
        return {.status = exit_usage,
                .out = {},
                .err = fmt::format("muster check: {}\n  {}\n", path.error().message(),
                                   path.error().hint())};
    const auto loaded = config::load_file(*path, config::process_environment());
    Printed result;
    if (const auto* problems = std::get_if<std::vector<config::Problem>>(&loaded)) {
        result.status = exit_usage;
        for (const config::Problem& each : *problems) result.err += config::describe(each) + "\n";
        return result;
    }
    const auto& config = std::get<config::Config>(loaded);
    result.out = line.prints ? config::printed(config) : fmt::format("{}: ok\n", *path);
    return result;
}

}  // namespace muster::client
