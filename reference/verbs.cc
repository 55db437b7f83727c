#include "reference/verbs.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <utility>

#include "base/text.h"
#include "client/verb_words.h"

namespace muster::reference {

namespace {

// A person reads it in plain ASCII, too.
std::string plain(std::string text) {
    constexpr std::string_view dots = "\u2026";
    for (auto at = text.find(dots); at != text.npos; at = text.find(dots))
        text.replace(at, dots.size(), "...");
    return text;
}

Option read(const CLI::Option& option) {
    Option found;
    for (const std::string& name : option.get_snames()) found.names.push_back("-" + name);
    for (const std::string& name : option.get_lnames()) found.names.push_back("--" + name);
    const bool takes_value = option.get_items_expected_max() > 0;
    if (found.names.empty())
        found.value = option.get_name(true);
    else if (takes_value)
        found.value = option.get_type_name();
    found.value.resize(std::min(found.value.find(':'), found.value.size()));  // its range
    found.does = plain(option.get_description());
    found.is_required = option.get_required();
    found.is_repeated = found.names.empty() && option.get_items_expected_max() > 1;
    return found;
}

}  // namespace

std::vector<Verb> all_verbs() {
    std::vector<Verb> verbs;
    for (const client::VerbWord& word : client::verb_words()) {
        CLI::App app;
        client::CommandLine line;
        line.verb = word.verb;
        client::describe_verb(app, line);
        Verb verb{std::string(word.name), std::string(word.does), {}, {}};
        for (const CLI::Option* option : std::as_const(app).get_options()) {
            if (option == app.get_help_ptr()) continue;
            Option found = read(*option);
            (found.names.empty() ? verb.words : verb.options).push_back(std::move(found));
        }
        verbs.push_back(std::move(verb));
    }
    return verbs;
}

std::string usage_of(const Verb& verb) {
    std::string text = verb.name;
    if (!verb.options.empty()) text += " [OPTIONS]";
    for (const Option& word : verb.words) {
        const std::string name = word.value + (word.is_repeated ? "..." : "");
        text += word.is_required ? " " + name : fmt::format(" [{}]", name);
    }
    if (verb.name == "run") text += " [-- COMMAND...]";
    return text;
}

std::string spelling_of(const Option& option) {
    std::string text = joined(option.names, ", ");
    if (!option.value.empty()) text += (text.empty() ? "" : " ") + option.value;
    return text;
}

std::vector<std::string> choices_of(const Option& option) {
    if (option.value.find('|') == option.value.npos) return {};
    return split(option.value, '|');
}

}  // namespace muster::reference
