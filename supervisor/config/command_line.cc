// `muster run … -- CMD`: one program without a file.

#include <fmt/format.h>

#include "base/text.h"
#include "config/load.h"
#include "config/schema.h"

namespace muster::config {

namespace {

using namespace std::chrono_literals;

// The command's own name, of what a program's name may have.
std::string program_name(const std::string& command) {
    std::string name = command.substr(command.rfind('/') + 1).substr(0, 64);
    for (char& c : name) {
        const bool is_good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                             (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
        if (!is_good) c = '-';
    }
    return name.empty() || name == "all" ? "command" : name;
}

// Known placeholders stay; every other brace is meant as it is.
std::string as_worker_word(std::string_view word) {
    std::string text;
    while (!word.empty()) {
        const auto brace = std::min(word.find('{'), word.size());
        text += word.substr(0, brace);
        word.remove_prefix(brace);
        if (word.empty()) break;
        const auto end = word.find('}');
        const auto whole = word.substr(0, end == word.npos ? 1 : end + 1);
        const bool is_known = end != word.npos && whole.find('{', 1) == whole.npos &&
                              !check_placeholders(whole, Field::other);
        text += is_known ? whole : std::string_view{"{{"};
        word.remove_prefix(is_known ? whole.size() : 1);
    }
    return text;
}

std::optional<Error> set_restart(const std::string& word, core::Policy& policy) {
    static constexpr std::string_view words[] = {"always", "on-failure", "never"};
    for (std::size_t i = 0; i < std::size(words); ++i) {
        if (words[i] != word) continue;
        policy.restart = static_cast<core::Restart>(i);
        return std::nullopt;
    }
    return Error{fmt::format("--restart: '{}' is not one of {}{}", word, fmt::join(words, ", "),
                             suggestion(word, words))};
}

std::optional<Error> set_registry(const std::string& word, Program& program) {
    std::vector<std::string_view> words;
    for (const Choice<RegistryKind>& choice : registries) {
        if (choice.word == word && choice.value == RegistryKind::custom)
            return Error{"--registry: 'custom' needs patterns", "write a file: muster run -c FILE"};
        if (choice.word == word && choice.value) {
            program.registry = *choice.value;
            return std::nullopt;
        }
        if (choice.word == word)
            return Error{fmt::format("--registry: '{}' is {}", word, not_yet), "write rq"};
        if (choice.value) words.push_back(choice.word);
    }
    return Error{fmt::format("--registry: '{}' is not one of {}{}", word, fmt::join(words, ", "),
                             suggestion(word, words))};
}

std::optional<Error> set_redis(const CommandLine& line,
                               const Environment& environment,
                               Config& config) {
    std::string source = "--redis";
    auto url = line.redis;
    const bool needs_it = config.programs.front().registry != RegistryKind::none;
    if (!url && needs_it) {
        std::string variable;
        url = redis_url_of_environment(environment, variable);
        source = "$" + variable;
    }
    if (!url && needs_it)
        return Error{"a registry needs a Redis",
                     "write --redis URL, or set MUSTER_REDIS_URL or REDIS_URL"};
    if (!url) return std::nullopt;
    if (const auto why = wrong_redis_url(*url); !why.empty())
        return Error{fmt::format("{}: {}", source, why)};
    if (!needs_it)
        return Error{"--redis does nothing without a registry", "write --registry rq, too"};
    config.redis.emplace().url = *url;
    return std::nullopt;
}

std::optional<Error> shape(const CommandLine& line, Program& program) {
    core::Policy& policy = program.policy;
    program.name = program_name(line.command.front());
    for (const std::string& word : line.command)
        program.command.push_back(line.is_plain() ? as_template(word) : as_worker_word(word));
    if (line.is_plain()) {
        policy.restart = core::Restart::never;
        program.ready = ReadyAfter{0s};
        program.stdout_to.kind = program.stderr_to.kind = OutputKind::inherit;
    }
    if (line.processes) {
        if (*line.processes < 1 || *line.processes > 10'000)
            return Error{"-n: must be from 1 to 10000"};
        program.processes = line.processes;
    }
    if (line.registry) {
        if (auto error = set_registry(*line.registry, program)) return error;
    }
    if (line.restart) return set_restart(*line.restart, policy);
    return std::nullopt;
}

}  // namespace

Result<Config> from_command(const CommandLine& line, const Environment& environment) {
    if (line.command.empty() || line.command.front().empty())
        return Error{"there is no command", "write it after --"};
    Config config;
    config.supervisor.service = own_hostname();
    config.supervisor.control = line.control;
    ProgramDraft draft;
    if (auto error = shape(line, draft.program)) return *error;
    Reading reading{"", environment};
    complete_program(draft, reading);
    config.programs.push_back(std::move(draft.program));
    if (auto error = set_redis(line, environment, config)) return *error;
    return config;
}

}  // namespace muster::config
