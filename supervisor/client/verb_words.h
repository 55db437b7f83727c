#pragma once
// The verbs and their options as CLI11 has them, for who writes them down: help, man page,
// completions. Defined in command_line.cc.

#include <span>
#include <string_view>

#include "client/command_line.h"

namespace CLI {
class App;
}

namespace muster::client {

struct VerbWord {
    std::string_view name;
    Verb verb;
    std::string_view does;
};

// In the order of the help.
std::span<const VerbWord> verb_words();

// Adds the options and names that line.verb takes; they are read into `line`.
void describe_verb(CLI::App& app, CommandLine& line);

}  // namespace muster::client
