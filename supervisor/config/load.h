#pragma once
// From a file, a text or a command line to a checked Config; every complaint with its place, all at
// once.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "config/config.h"

namespace muster::config {

struct Problem {
    std::string file;
    int line;    // from 1; 0 = about the file as a whole
    int column;  // from 1, in characters
    std::string text;
};
// "muster.toml:14:11: program.shap.start_sec: unknown key; did you mean start_timeout?"
std::string describe(const Problem& problem);

// A variable's value, or nothing where it is not set.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;
Environment process_environment();

// Problems are never empty, in the file's order, and hold no secret.
using Loaded = std::variant<Config, std::vector<Problem>>;
Loaded load_file(const std::string& path, const Environment& environment);
// `include` is not followed: a text has no folder.
Loaded load_text(std::string_view text,
                 const std::string& filename,
                 const Environment& environment);

// The URL in redis.url_file, checked; read again at each reconnect. Errors hold no piece of it
// (I12).
Result<std::string> read_url_file(const std::string& path);

// What `run [--registry rq] [-n N] [--redis URL] [--restart P] -- CMD …` was asked for.
struct CommandLine {
    std::vector<std::string> command;
    std::optional<std::string> registry;
    std::optional<std::uint32_t> processes;
    std::optional<std::string> redis;
    std::optional<std::string> restart;
    std::optional<std::string> control;

    // Without --registry and -n: a better tini, whose child has our streams and whose words are
    // taken as they are. Otherwise: workers, whose words may have {name} and its like.
    [[nodiscard]] bool is_plain() const { return !registry && !processes; }
};
Result<Config> from_command(const CommandLine& line,
                            const Environment& environment = process_environment());

}  // namespace muster::config
