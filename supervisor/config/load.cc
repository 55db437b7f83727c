#include "config/load.h"

#include <fmt/format.h>
#include <glob.h>

#include <algorithm>
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
    SupervisorDraft supervisor;
    RedisDraft redis;
    std::vector<ProgramDraft> programs;
    std::vector<GroupDraft> groups;
};

// How the files are found that a pattern of `include` means.
using FilesOf = std::function<Result<std::vector<std::string>>(const std::string& pattern)>;

constexpr std::size_t most_included = 256;

void read_programs(const Value& table, Draft& draft) {
    table.each_entry([&](const Value& entry) {
        const std::string_view name = entry.key();
        if (const auto why = wrong_name(name, "program"); !why.empty()) entry.complain_of_key(why);
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
        {"group", [](const Value& v, Draft& d) { read_groups(v, d.groups); }},
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

// What a file may say that is only a part of the configuration.
void read_included_tables(const Value& root, Draft& draft) {
    root.each_entry([&](const Value& entry) {
        if (entry.key() == "program") return read_programs(entry, draft);
        if (entry.key() == "group") return read_groups(entry, draft.groups);
        if (entry.key() == "supervisor" || entry.key() == "redis")
            return entry.complain_of_key("belongs into the main file, not into an included one");
        static constexpr std::string_view known[] = {"program", "group"};
        static constexpr OtherName others[] = {{"programs", "program"}};
        entry.complain_of_key(unknown_key(entry.key(), known, others));
    });
}

void read_included(const std::string& path, Position where, Draft& draft, Reading& reading) {
    const auto text = read_file(path);
    if (!text)
        return reading.complain(where, fmt::format("supervisor.include: {} cannot be read: {}",
                                                   path, text.error().message()));
    reading.begin_file(path);
    const auto document = Document::parse(*text, reading);
    if (document) read_included_tables(document->root(reading), draft);
}

void read_includes(Draft& draft, const FilesOf& includes, Reading& reading) {
    std::vector<std::string> seen;
    for (std::size_t i = 0; i < draft.supervisor.include.size(); ++i) {
        const std::string& pattern = draft.supervisor.include[i];
        const Position where = draft.supervisor.include_at[i];
        const auto found = includes(pattern);
        if (!found) {
            reading.complain(
                where, fmt::format("supervisor.include: {}: {}", pattern, found.error().message()));
            continue;
        }
        for (const std::string& path : *found) {
            if (std::find(seen.begin(), seen.end(), path) != seen.end()) continue;
            if (seen.size() == most_included)
                return reading.complain(where, "supervisor.include: means more than 256 files");
            seen.push_back(path);
            read_included(path, where, draft, reading);
        }
    }
}

// Relative to the folder of the file that includes. A pattern may mean no file, a name must.
Result<std::vector<std::string>> files_of(const std::string& main_file,
                                          const std::string& pattern) {
    const auto slash = main_file.rfind('/');
    const bool is_relative = !pattern.starts_with('/') && slash != std::string::npos;
    const std::string full = is_relative ? main_file.substr(0, slash + 1) + pattern : pattern;
    glob_t found{};
    const int status = ::glob(full.c_str(), 0, nullptr, &found);
    std::vector<std::string> files(found.gl_pathv, found.gl_pathv + found.gl_pathc);
    ::globfree(&found);
    if (status == GLOB_NOMATCH) {
        if (pattern.find_first_of("*?[") != std::string::npos) return files;
        return Error{"there is no such file"};
    }
    if (status != 0) return Error{"the folder cannot be read"};
    return files;
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

namespace {

Loaded load(std::string_view text,
            const std::string& filename,
            const Environment& environment,
            const FilesOf* includes) {
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
    if (includes != nullptr) read_includes(draft, *includes, reading);
    for (ProgramDraft& program : draft.programs) complete_program(program, reading);
    check_fleet(draft.programs, draft.groups, reading);

    Config config;
    settle_redis(draft, config, reading);
    if (!reading.is_clean()) return reading.take_problems();
    config.supervisor = std::move(draft.supervisor.supervisor);
    if (config.supervisor.service.empty()) config.supervisor.service = own_hostname();
    config.programs.reserve(draft.programs.size());
    for (ProgramDraft& program : draft.programs)
        config.programs.push_back(std::move(program.program));
    for (GroupDraft& group : draft.groups) config.groups.push_back(std::move(group.group));
    return config;
}

}  // namespace

std::string wrong_name(std::string_view name, std::string_view what) {
    constexpr std::string_view allowed =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
    if (name.empty() || name.size() > 128 || name.find_first_not_of(allowed) != name.npos)
        return fmt::format("a {}'s name is 1 to 128 of A-Z a-z 0-9 _ . -", what);
    return name == "all" ? "'all' means all programs; choose another name" : "";
}

Loaded load_text(std::string_view text,
                 const std::string& filename,
                 const Environment& environment) {
    return load(text, filename, environment, nullptr);
}

Loaded load_file(const std::string& path, const Environment& environment) {
    const auto text = read_file(path);
    if (!text)
        return std::vector<Problem>{
            {path, 0, 0, fmt::format("cannot be read: {}", text.error().message())}};
    const FilesOf includes = [&](const std::string& pattern) { return files_of(path, pattern); };
    return load(*text, path, environment, &includes);
}

}  // namespace muster::config
