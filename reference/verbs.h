#pragma once
// The verbs of the command line with their options, read from its own definition.

#include <string>
#include <vector>

namespace muster::reference {

struct Option {
    std::vector<std::string> names;  // "-c", "--config"; none: a word at its place
    std::string value;               // "FILE"; of a flag ""
    std::string does;
    bool is_required = false;
    bool is_repeated = false;
};

struct Verb {
    std::string name;
    std::string does;
    std::vector<Option> words;    // in their places
    std::vector<Option> options;  // without -h
};

std::vector<Verb> all_verbs();

// "restart [OPTIONS] SEL..."
std::string usage_of(const Verb& verb);
// "-c, --config FILE"
std::string spelling_of(const Option& option);
// What stands for an option's value where only some words may: "rq|sidekiq"; else none.
std::vector<std::string> choices_of(const Option& option);

}  // namespace muster::reference
