#include "config/load.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "base/text.h"
#include "config/file.h"
#include "config/reader.h"
#include "config/schema.h"

namespace muster::config {

namespace {

struct Draft {
    Supervisor supervisor;
    RedisDraft redis;
    std::vector<ProgramDraft> programs;
};

void read_programs(const Value& table, Draft& draft) {
    table.each_entry([&](const Value& entry) {
        const std::string_view name = entry.key();
        constexpr std::string_view allowed =
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
        if (name.empty() || name.size() > 128 || name.find_first_not_of(allowed) != name.npos)
            entry.complain_of_key("a program's name is 1 to 128 of A-Z a-z 0-9 _ . -");
        else if (name == "all")
            entry.complain_of_key("'all' means all programs; choose another name");
        ProgramDraft& program = draft.programs.emplace_back();
        program.program.name = name;
        program.name_at = entry.key_position();
        read_program(entry, program);
    });
}

void read_file_tables(const Value& root, Draft& draft) {
    static constexpr Key<Draft> keys[] = {
        {"supervisor", [](const Value& v, Draft& d) { read_supervisor(v, d.supervisor); }},
        {"redis", [](const Value& v, Draft& d) { read_redis(v, d.redis); }},
        {"program", [](const Value& v, Draft& d) { read_programs(v, d); }},
        {"group", nullptr},
    };
    static constexpr OtherName others[] = {
        {"supervisord", "supervisor"},
        {"programs", "program"},
        {"include", "supervisor.include"},
        {"unix_http_server", "supervisor.control"},
        {"inet_http_server", "supervisor.http"},
        {"supervisorctl", "supervisor.control"},
        {"Unit", "program"},
        {"Service", "program"},
        {"services", "program"},
    };
    read_table<Draft>(root, draft, keys, others);
}

// A REDIS_URL that is meant for others is none of our business while no program has a registry.
void settle_redis(Draft& draft, Config& config, Reading& reading) {
    const ProgramDraft* needs_it = nullptr;
    for (const ProgramDraft& program : draft.programs) {
        if (program.program.policy.has_registry && needs_it == nullptr) needs_it = &program;
    }
    std::string variable;
    if (!draft.redis.has_url && needs_it != nullptr) {
        if (auto url = redis_url_of_environment(reading.environment, variable)) {
            if (const auto why = wrong_redis_url(*url); !why.empty())
                reading.complain_of("$" + variable, why);
            draft.redis.redis.url = std::move(*url);
            draft.redis.has_url = true;
        }
    }
    if (draft.redis.has_url)
        config.redis = std::move(draft.redis.redis);
    else if (needs_it != nullptr)
        reading.complain(
            needs_it->name_at,
            fmt::format("program.{}: a registry needs a Redis; write redis.url, or set "
                        "MUSTER_REDIS_URL or REDIS_URL",
                        needs_it->program.name));
}

}  // namespace

std::string describe(const Problem& problem) {
    if (problem.line == 0) return fmt::format("{}: {}", problem.file, problem.text);
    return fmt::format("{}:{}:{}: {}", problem.file, problem.line, problem.column, problem.text);
}

Environment process_environment() {
    return [](const std::string& name) -> std::optional<std::string> {
        const char* value = std::getenv(name.c_str());
        return value == nullptr ? std::nullopt : std::optional<std::string>(value);
    };
}

Loaded load_text(std::string_view text,
                 const std::string& filename,
                 const Environment& environment) {
    Reading reading{filename, environment};
    Draft draft;
    if (text.size() > longest_file) {
        reading.complain({}, "is larger than 1 MiB");
        return reading.take_problems();
    }
    {
        const auto document = Document::parse(text, reading);
        if (!document) return reading.take_problems();
        read_file_tables(document->root(reading), draft);
    }  // the tree is several times the file: it goes before anything else is made
    for (ProgramDraft& program : draft.programs) complete_program(program, reading);
    check_fleet(draft.programs, reading);

    Config config;
    settle_redis(draft, config, reading);
    if (!reading.is_clean()) return reading.take_problems();
    config.supervisor = std::move(draft.supervisor);
    if (config.supervisor.service.empty()) config.supervisor.service = own_hostname();
    config.programs.reserve(draft.programs.size());
    for (ProgramDraft& program : draft.programs)
        config.programs.push_back(std::move(program.program));
    return config;
}

Loaded load_file(const std::string& path, const Environment& environment) {
    const auto text = read_file(path);
    if (!text)
        return std::vector<Problem>{
            {path, 0, 0, fmt::format("cannot be read: {}", text.error().message())}};
    return load_text(*text, path, environment);
}

}  // namespace muster::config
