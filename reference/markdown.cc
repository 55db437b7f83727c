#include "reference/markdown.h"

#include <fmt/format.h>

#include <span>

#include "reference/keys.h"
#include "reference/verbs.h"
#include "reference/words.h"

namespace muster::reference {

namespace {

constexpr std::string_view made_note = "<!-- Made from the sources: see architecture.md. -->\n\n";

std::string code(std::string_view text) {
    return text.empty() ? "" : fmt::format("`{}`", text);
}

// In a cell a bar would end it.
std::string cell(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '|' || c == '*') out += '\\';
        out += c;
    }
    return out;
}

std::string words_table(std::span<const Word> words) {
    std::string text = "| | |\n|---|---|\n";
    for (const Word& word : words)
        text += fmt::format("| {} | {} |\n", code(word.word), cell(word.means));
    return text + "\n";
}

std::string default_of(const Key& key) {
    if (key.shape == Shape::table) return "";
    std::string text = code(key.initial);
    if (!key.initially.empty() && key.initially != "none")
        text += (text.empty() ? "" : "; ") + cell(key.initially);
    return text;
}

std::string keys_table(std::string_view path) {
    std::string text =
        fmt::format("## `[{}]`\n\n| key | takes | default | |\n|---|---|---|---|\n", path);
    for (const Key& key : keys_of(path))
        text += fmt::format("| {} | {} | {} | {} |\n", code(key.name), cell(what_it_takes(key)),
                            default_of(key), cell(key.does));
    text += '\n';
    for (const Key& key : keys_of(path)) {
        const std::string inner = path_of(key);
        if (!keys_of(inner).empty()) text += keys_table(inner);
    }
    return text;
}

}  // namespace

std::string docs_of_file() {
    std::string text = "# Every key of muster.toml\n\n";
    text += made_note;
    text +=
        "`muster check` holds a file against it, `muster check --print` shows what is in effect. "
        "For editors there is a JSON\nSchema, `conf/muster.schema.json`: where the editor knows "
        "TOML by taplo, `#:schema PATH` in the file's first line names it.\n\n";
    text += "## Values\n\n" + words_table(value_forms);
    text +=
        "## Placeholders\n\nIn `command`, `environment`, `directory` and log paths, filled in "
        "for each life.\n\n" +
        words_table(placeholders);
    for (const Key& key : keys_of(""))
        text += keys_table(key.shape == Shape::named ? path_of(key) + ".NAME" : path_of(key));
    text.pop_back();
    return text;
}

std::string docs_of_command() {
    std::string text = "# Every verb of muster\n\n";
    text += made_note;
    text += "`SEL` is one of:\n\n" + words_table(selectors);
    for (const Verb& verb : all_verbs()) {
        text += fmt::format("## `muster {}`\n\n{}.\n\n", usage_of(verb), verb.does);
        if (verb.options.empty()) continue;
        text += "| | |\n|---|---|\n";
        for (const Option& option : verb.options)
            text += fmt::format("| `{}` | {} |\n", cell(spelling_of(option)), cell(option.does));
        text += '\n';
    }
    text += "## Signals to `muster run`\n\n" + words_table(signals);
    text += "## Exit status\n\n" + words_table(exit_codes);
    text += fmt::format("`{}`{}\n\n", run_exit.means.substr(0, 3), run_exit.means.substr(3));
    text += "## Environment\n\n" + words_table(variables);
    text.pop_back();
    return text;
}

std::string with_verbs(std::string_view readme) {
    constexpr std::string_view begin = "<!-- verbs: made from the sources -->\n";
    constexpr std::string_view end = "<!-- end of verbs -->\n";
    const auto from = readme.find(begin);
    const auto to = readme.find(end);
    if (from == readme.npos || to == readme.npos || to < from) return std::string(readme);
    std::string text{readme.substr(0, from + begin.size())};
    text += "\n| | |\n|---|---|\n";
    for (const Verb& verb : all_verbs()) {
        std::string words;
        for (const Option& word : verb.words) {
            const std::string name = word.value + (word.is_repeated ? "..." : "");
            words += word.is_required ? " " + name : fmt::format(" [{}]", name);
        }
        std::string flags;
        for (const Option& option : verb.options) {
            const std::string& name = option.names.back();
            if (name == "--json" || name == "--socket" || name == "--config") continue;
            flags += " " + code(name);
        }
        text += fmt::format("| `muster {}{}` | {}{} |\n", verb.name, cell(words), cell(verb.does),
                            flags.empty() ? "" : "." + flags);
    }
    text += '\n';
    text += readme.substr(to);
    return text;
}

}  // namespace muster::reference
