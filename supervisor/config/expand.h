#pragma once
// The two things that stand in strings: ${VAR} for the environment, once, while loading; {name} for
// what an incarnation is, at each spawn.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/load.h"

namespace muster::config {

// A template is a string with {…} placeholders; in it a brace from the environment is data and
// comes out doubled.
enum class Braces : unsigned char { plain, in_template };

// ${VAR} (an error where it is not set), ${VAR:-default} and ${VAR:?message} (where it is not set
// or empty). Defaults may hold further ${…}. $${ is a literal ${.
Result<std::string> expand(std::string_view text, const Environment& environment, Braces braces);

// Split like a shell, without one: blanks, '…', "…", backslash; and ${…} as above, whose value is
// split at blanks where it is not quoted. The words are templates.
Result<std::vector<std::string>> split_command(std::string_view text,
                                               const Environment& environment);

struct Placeholders {
    std::string name = {};
    std::string pid = {};
    std::string time = {};
    std::string rand = {};
    std::string uuid = {};
    std::string program = {};
    std::string process = {};
    std::string index = {};
    std::string host = {};
    std::string service = {};
    std::string instance = {};
};
// `text` is a template that was checked. {{ is a brace, and } stands for itself.
std::string fill(std::string_view text, const Placeholders& values);

bool has_placeholder(std::string_view text, std::string_view name);

enum class Field : unsigned char {
    worker_name,   // alone may be made of {pid}, {time}, {rand}, {uuid}
    environment,   // whose values may be secrets: a complaint repeats nothing of them
    registration,  // what a home-made worker keeps of itself: its {pid}, too
    other
};
// Why `text` is no template for such a field.
std::optional<Error> check_placeholders(std::string_view text, Field field);

// Every brace doubled: a template that is filled to just `text`.
std::string as_template(std::string_view text);

// What must stand in the file for a string that is to be read as just `text`.
std::string as_written(std::string_view text, Braces braces);

}  // namespace muster::config
