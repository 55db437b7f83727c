#pragma once
// Reads of a text with an environment of the test's own.

#include <doctest/doctest.h>

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "config/load.h"

namespace muster::config {

using Variables = std::map<std::string, std::string>;

inline Environment environment_of(Variables variables) {
    return [variables =
                std::move(variables)](const std::string& name) -> std::optional<std::string> {
        const auto found = variables.find(name);
        return found == variables.end() ? std::nullopt : std::optional<std::string>(found->second);
    };
}

inline std::vector<std::string> complaints(const std::string& text, Variables variables = {}) {
    const auto loaded = load_text(text, "m.toml", environment_of(std::move(variables)));
    std::vector<std::string> lines;
    if (const auto* problems = std::get_if<std::vector<Problem>>(&loaded)) {
        for (const Problem& problem : *problems) lines.push_back(describe(problem));
    }
    return lines;
}

// The one complaint, "" where there is none, all of them where there are more.
inline std::string complaint(const std::string& text, Variables variables = {}) {
    std::string all;
    for (const std::string& line : complaints(text, std::move(variables)))
        all += (all.empty() ? "" : "\n") + line;
    return all;
}

inline Config loaded(const std::string& text, Variables variables = {}) {
    auto result = load_text(text, "m.toml", environment_of(std::move(variables)));
    if (auto* config = std::get_if<Config>(&result)) return std::move(*config);
    for (const Problem& problem : std::get<std::vector<Problem>>(result))
        FAIL_CHECK(describe(problem));
    return {};
}

// A program "a" with a command and the given lines.
inline std::string with(const std::string& lines) {
    return "[program.a]\ncommand = \"run\"\n" + lines + "\n";
}

inline Program program(const std::string& lines, Variables variables = {}) {
    auto config = loaded(with(lines), std::move(variables));
    REQUIRE(config.programs.size() == 1);
    return std::move(config.programs.front());
}

inline std::string complaint_of(const std::string& lines, Variables variables = {}) {
    return complaint(with(lines), std::move(variables));
}

inline bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace muster::config
