// Holds the list of keys against what reads them.

#include "reference/keys.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <regex>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/text.h"
#include "config/load.h"
#include "config/print.h"
#include "reference/json_schema.h"

namespace muster::reference {
namespace {

using Names = std::set<std::string>;

std::string content_of(const std::filesystem::path& path) {
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
}

// The names in each list `Key<…> keys[] = {…};` of the configuration's sources.
std::vector<Names> lists_of_the_readers() {
    std::vector<Names> lists;
    const std::regex list{R"(Key<[A-Za-z:]+> \w+\[\] = \{)"};
    const std::regex name{R"x(\{"(\w+)",)x"};
    for (const auto& entry : std::filesystem::directory_iterator{SOURCES "/supervisor/config"}) {
        if (entry.path().extension() != ".cc") continue;
        const std::string text = content_of(entry.path());
        for (std::sregex_iterator at{text.begin(), text.end(), list}, end; at != end; ++at) {
            const auto from = static_cast<std::size_t>(at->position() + at->length());
            std::size_t to = from;
            std::string outermost;  // what stands in an entry's own braces
            for (int depth = 1; depth > 0 && to < text.size(); ++to) {
                if (text[to] == '{') ++depth;
                if (depth <= 2) outermost += text[to];
                if (text[to] == '}') --depth;
            }
            Names names;
            for (std::sregex_iterator word{outermost.begin(), outermost.end(), name}; word != end;
                 ++word)
                names.insert((*word)[1]);
            lists.push_back(std::move(names));
        }
    }
    return lists;
}

Names names_of(std::string_view table) {
    Names names;
    for (const Key& key : all_keys()) {
        if (key.table == table) names.emplace(key.name);
    }
    return names;
}

std::set<std::string> tables() {
    std::set<std::string> all;
    for (const Key& key : all_keys()) all.emplace(key.table);
    return all;
}

std::vector<config::Problem> problems_of(const std::string& text) {
    const auto loaded = config::load_text(
        text, "m.toml", [](const std::string&) { return std::optional<std::string>{}; });
    const auto* problems = std::get_if<std::vector<config::Problem>>(&loaded);
    return problems == nullptr ? std::vector<config::Problem>{} : *problems;
}

std::string printed(const std::string& text) {
    const auto loaded = config::load_text(
        text, "m.toml", [](const std::string&) { return std::optional<std::string>{}; });
    if (const auto* config = std::get_if<config::Config>(&loaded)) return config::printed(*config);
    for (const auto& problem : std::get<std::vector<config::Problem>>(loaded))
        FAIL_CHECK(config::describe(problem));
    return {};
}

// A file in which the key may stand, without it.
std::string file_around(const Key& key) {
    std::string text;
    if (key.table == "redis" || key.table.starts_with("redis."))
        return "redis.url = \"redis://h\"\n";
    const std::string path = path_of(key);
    const bool is_of_registry =
        key.name == "jobs" || path.find("poison") != path.npos || path.find("health") != path.npos;
    if (key.table == "program.NAME.listener")
        return "program.a.command = \"x\"\nprogram.a.listener.events = \"TICK_60\"\n";
    if (key.table == "program.NAME.autoscale")
        return std::string(
                   "redis.url = \"redis://h\"\nprogram.a.command = \"x\"\n"
                   "program.a.registry = \"rq\"\nprogram.a.autoscale.queues = "
                   "[\"q\"]\n") +
               (key.name == "max" ? "" : "program.a.autoscale.max = 10000\n");
    if (key.table == "program.NAME.custom")
        return "redis.url = \"redis://h\"\nprogram.a.command = \"x\"\nprogram.a.registry = "
               "\"custom\"\nprogram.a.custom.set = \"s\"\n";
    if (is_of_registry)
        return "redis.url = \"redis://h\"\nprogram.a.command = \"x\"\nprogram.a.registry = "
               "\"rq\"\n";
    if (key.table == "group.NAME") return "program.x.command = \"x\"\ngroup.a.programs = [\"x\"]\n";
    return "program.a.command = \"x\"\n";
}

TEST_CASE("each table's keys are just those that its reader takes") {
    const auto lists = lists_of_the_readers();
    CHECK(lists.size() >= 14);
    std::set<std::string> matched;
    for (const Names& list : lists) {
        bool found = false;
        for (const std::string& table : tables()) {
            if (names_of(table) != list) continue;
            found = true;
            matched.insert(table);
        }
        CHECK_MESSAGE(found, "no table of reference/keys.cc has the keys " << joined(
                                 std::vector<std::string>(list.begin(), list.end()), " "));
    }
    for (const std::string& table : tables()) {
        // Its names are those of the system's limits, and no list of readers.
        if (table == "program.NAME.limits") continue;
        CHECK_MESSAGE(matched.contains(table), "nothing reads [" << table << "]");
    }
}

TEST_CASE("a limit is known by each of its names, and by no other") {
    const auto problems = problems_of("program.a.command = \"x\"\nprogram.a.limits.xyzzyx = 1\n");
    REQUIRE(problems.size() == 1);
    for (const std::string& name : names_of("program.NAME.limits"))
        CHECK(
            problems_of("program.a.command = \"x\"\nprogram.a.limits." + name + " = 1\n").empty());
    const std::string source = content_of(SOURCES "/supervisor/config/program_tables.cc");
    const std::regex resource{R"x(\{"(\w+)", +RLIMIT_)x"};
    for (std::sregex_iterator at{source.begin(), source.end(), resource}, end; at != end; ++at)
        CHECK_MESSAGE(names_of("program.NAME.limits").contains((*at)[1]), std::string((*at)[1]));
}

TEST_CASE("every key has a description of one line, and a table that acts has keys") {
    std::set<std::string> seen;
    for (const Key& key : all_keys()) {
        const std::string path = path_of(key);
        CHECK_MESSAGE(seen.insert(path).second, path << " is there twice");
        CHECK_MESSAGE(key.does.size() > 3, path);
        CHECK_MESSAGE(key.does.find('\n') == key.does.npos, path);
        CHECK_MESSAGE(key.does.back() != '.', path);
        const bool has_keys = key.shape == Shape::table && acts(key);
        if (has_keys) CHECK_MESSAGE(!keys_of(path).empty(), path);
        if (key.shape == Shape::words) CHECK_MESSAGE(words_of(key).size() > 1, path);
        const bool is_plain = key.shape != Shape::table && key.shape != Shape::named;
        if (is_plain) CHECK_MESSAGE(!(key.initial.empty() && key.initially.empty()), path);
    }
}

TEST_CASE("a default that is written down changes nothing") {
    int checked = 0;
    for (const Key& key : all_keys()) {
        if (key.initial.empty() || !acts(key)) continue;
        const std::string around = file_around(key);
        const std::string line = file_with(key, key.initial);
        CHECK_MESSAGE(printed(around) == printed(around + line), line);
        ++checked;
    }
    CHECK(checked > 40);
}

TEST_CASE("the words of a key are just those that its reader takes") {
    int checked = 0;
    for (const Key& key : all_keys()) {
        if (key.shape != Shape::words || !acts(key)) continue;
        const auto problems =
            problems_of(file_around(key) + file_with(key, "\"xyzzyxyzzyxyzzyx\""));
        const std::string expected = "is not one of " + joined(words_of(key), ", ");
        const bool told = std::any_of(
            problems.begin(), problems.end(),
            [&](const config::Problem& problem) { return problem.text.ends_with(expected); });
        CHECK_MESSAGE(told, path_of(key) << ": " << (problems.empty() ? "" : problems[0].text));
        ++checked;
    }
    CHECK(checked > 8);
}

TEST_CASE("a number is taken from its least to its most, and no further") {
    for (const Key& key : all_keys()) {
        if ((key.shape != Shape::whole && key.shape != Shape::real) || !acts(key)) continue;
        const auto taken = [&](std::int64_t number) {
            const std::string text =
                key.shape == Shape::real ? std::to_string(number) + ".0" : std::to_string(number);
            return problems_of(file_around(key) + file_with(key, text)).empty();
        };
        CHECK_MESSAGE(taken(key.least), path_of(key));
        CHECK_MESSAGE(taken(key.most), path_of(key));
        CHECK_MESSAGE(!taken(key.least - 1), path_of(key));
        CHECK_MESSAGE(!taken(key.most + 1), path_of(key));
    }
}

TEST_CASE("the schema has every key that acts, with its description, and no other") {
    const auto schema = nlohmann::json::parse(json_schema());
    const auto& program = schema["properties"]["program"]["additionalProperties"]["properties"];
    for (const Key& key : all_keys()) {
        if (key.table != "program.NAME") continue;
        const std::string name{key.name};
        CHECK_MESSAGE(program.contains(name) == acts(key), name);
        if (acts(key)) CHECK(program[name]["description"] == std::string(key.does));
    }
    CHECK(program["start_limit"]["default"] == 10);
    CHECK_FALSE(schema["properties"]["supervisor"]["additionalProperties"].get<bool>());
}

}  // namespace
}  // namespace muster::reference
