#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "config/expand.h"
#include "config/import.h"
#include "config/toml_text.h"

namespace muster::config {

namespace {

// What a shell would do more with than split it.
bool needs_shell(std::string_view command) {
    if (command.find_first_of("|&;<>()$`*?[#~!{") != std::string_view::npos) return true;
    const auto word = command.substr(0, command.find_first_of(" \t"));
    return word.find('=') != std::string_view::npos;  // VAR=value command
}

bool is_name(std::string_view name) {
    constexpr std::string_view allowed =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    return !name.empty() && name.size() <= 128 &&
           name.find_first_not_of(allowed) == std::string_view::npos && name != "all";
}

struct Line {
    std::string name;
    std::string command;
    std::vector<std::string> comments;
};

std::string program(const Line& line, bool has_release, bool has_env_file) {
    std::string out = "\n" + toml_comment(line.comments) + "[program." + line.name + "]\n";
    if (needs_shell(line.command))
        out += "command = " +
               toml_array({"/bin/sh", "-c", as_written(line.command, Braces::in_template)}) + "\n";
    else
        out += "command = " + toml_string(as_written(line.command, Braces::in_template)) + "\n";
    if (has_env_file) out += "env_file = \".env\"\n";
    if (line.name == "release") return out + "restart = \"never\"\n";
    if (has_release) out += "after = [\"release:succeeded\"]\n";
    return out;
}

}  // namespace

Result<Imported> import_procfile(const Source& source, bool has_env_file) {
    std::vector<Line> lines;
    std::vector<std::string> comments;
    std::vector<std::string> left_out;
    int number = 0;
    for (const std::string& raw : split(source.text, '\n')) {
        ++number;
        const auto text = trimmed(raw);
        if (text.empty()) continue;
        if (!is_utf8(text)) {
            left_out.push_back(fmt::format("{}:{}: is no UTF-8", source.path, number));
            continue;
        }
        if (text.front() == '#') {
            comments.emplace_back(trimmed(text.substr(1)));
            continue;
        }
        const auto colon = text.find(':');
        const auto name = trimmed(text.substr(0, std::min(colon, text.size())));
        const auto command =
            colon == std::string_view::npos ? std::string_view{} : trimmed(text.substr(colon + 1));
        if (!is_name(name) || command.empty()) {
            left_out.push_back(fmt::format("{}:{}: is not \"name: command\"", source.path, number));
            continue;
        }
        if (std::any_of(lines.begin(), lines.end(),
                        [&](const Line& line) { return line.name == name; })) {
            left_out.push_back(fmt::format("{}:{}: {} is there twice", source.path, number, name));
            continue;
        }
        lines.push_back({std::string(name), std::string(command), std::exchange(comments, {})});
    }
    if (lines.empty())
        return Error{
            fmt::format("{} has no line \"name: command\": nothing to import", source.path),
            "a supervisord.conf or a Procfile is wanted"};
    bool has_release = false;
    for (const Line& line : lines) has_release = has_release || line.name == "release";
    Imported result;
    result.toml = import_head(source.path, {}, left_out);
    for (const Line& line : lines) result.toml += program(line, has_release, has_env_file);
    if (!comments.empty()) result.toml += "\n" + toml_comment(comments);
    result.left_out = std::move(left_out);
    return result;
}

}  // namespace muster::config
