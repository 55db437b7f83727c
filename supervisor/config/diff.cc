#include "config/diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>
#include <unordered_map>

#include "base/text.h"
#include "config/print.h"

namespace muster::config {

namespace {

constexpr std::string_view live_keys[] = {
    "after",      "autoscale", "autostart", "backoff",     "drain",         "essential",
    "exit_codes", "jobs",      "max_age",   "memory",      "on_fatal",      "orphans",
    "poison",     "priority",  "restart",   "start_limit", "start_timeout", "stop"};
constexpr std::string_view next_start_keys[] = {"health.registry", "log_rotate", "overflow",
                                                "ready",           "stderr",     "stdout"};

bool contains(std::span<const std::string_view> words, std::string_view word) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

// What is printed of a table, by key: a table within it is one key ([program.a.health] → health).
std::map<std::string, std::string> by_key(const std::string& printed) {
    std::map<std::string, std::string> keys;
    std::string inner;
    bool is_first = true;
    for (const std::string& line : split(printed, '\n')) {
        if (line.starts_with('[')) {
            inner =
                is_first ? "" : line.substr(line.rfind('.') + 1, line.size() - line.rfind('.') - 2);
            is_first = false;
            continue;
        }
        const auto end = line.find(" = ");
        if (end == std::string::npos) continue;
        (inner.empty() ? keys[line.substr(0, end)] : keys[inner]) += line;
    }
    return keys;
}

std::vector<std::string> differing(const std::string& before, const std::string& after) {
    const auto old = by_key(before);
    auto now = by_key(after);
    std::vector<std::string> keys;
    for (const auto& [key, text] : old) {
        const auto found = now.find(key);
        if (found == now.end() || found->second != text) keys.push_back(key);
        if (found != now.end()) now.erase(found);
    }
    for (const auto& [key, text] : now) keys.push_back(key);
    return keys;
}

ProgramChange change_of(const Program& running, const Program& wanted) {
    ProgramChange change;
    change.program = running.name;
    std::vector<std::string> keys = differing(printed(running), printed(wanted));
    std::erase(keys, "processes");
    // Its secrets are masked where it is printed.
    std::erase(keys, "environment");
    if (running.environment != wanted.environment) keys.emplace_back("environment");
    for (std::string& key : keys) {
        auto& list = contains(live_keys, key)         ? change.live
                     : contains(next_start_keys, key) ? change.next_start
                                                      : change.restart;
        list.push_back(std::move(key));
    }
    change.is_renamed = running.processes.has_value() != wanted.processes.has_value();
    // With autoscale the size at present stays; its next look brings it where it should be.
    const bool keeps_size = wanted.autoscale && !change.is_renamed;
    const bool is_let_go = running.autoscale && !wanted.autoscale;
    if (!keeps_size && (is_let_go || running.processes != wanted.processes))
        change.processes = {running.processes.value_or(1), wanted.processes.value_or(1)};
    // Equal in all that is shown, and yet not equal: never taken for nothing.
    const bool says_nothing = keys.empty() && !change.processes;
    if (says_nothing) change.restart.emplace_back("command");
    return change;
}

void compare_general(const Config& running, const Config& wanted, Difference& difference) {
    Supervisor as_now = wanted.supervisor;
    if (running.supervisor.log_level != wanted.supervisor.log_level)
        difference.live.emplace_back("supervisor.log.level");
    if (running.supervisor.shutdown_timeout != wanted.supervisor.shutdown_timeout)
        difference.live.emplace_back("supervisor.shutdown_timeout");
    as_now.log_level = running.supervisor.log_level;
    as_now.shutdown_timeout = running.supervisor.shutdown_timeout;
    for (const std::string& key : differing(printed(running.supervisor), printed(as_now)))
        difference.needs_restart.push_back("supervisor." + key);
    // Not printed: a new secret in the same file.
    if (running.supervisor.http_token_file == wanted.supervisor.http_token_file &&
        running.supervisor.http_token != wanted.supervisor.http_token)
        difference.needs_restart.emplace_back("supervisor.http_token_file");
    if (running.redis.has_value() != wanted.redis.has_value()) {
        difference.needs_restart.emplace_back("redis");
    } else if (running.redis) {
        std::vector<std::string> keys = differing(printed(*running.redis), printed(*wanted.redis));
        std::erase(keys, "url");  // its login is masked
        if (running.redis->url != wanted.redis->url) keys.insert(keys.begin(), "url");
        for (const std::string& key : keys) difference.needs_restart.push_back("redis." + key);
    }
}

void compare_groups(const Config& running, const Config& wanted, Difference& difference) {
    const auto same_in = [](const std::vector<Group>& groups, const Group& group) {
        return std::find(groups.begin(), groups.end(), group) != groups.end();
    };
    const auto tell = [&](const Group& group) {
        std::string name = "group." + group.name;
        if (std::find(difference.live.begin(), difference.live.end(), name) ==
            difference.live.end())
            difference.live.push_back(std::move(name));
    };
    for (const Group& group : running.groups) {
        if (!same_in(wanted.groups, group)) tell(group);
    }
    for (const Group& group : wanted.groups) {
        if (!same_in(running.groups, group)) tell(group);
    }
}

}  // namespace

Difference compare(const Config& running, const Config& wanted) {
    Difference difference;
    std::unordered_map<std::string_view, const Program*> old;
    for (const Program& program : running.programs) old.emplace(program.name, &program);
    for (const Program& program : wanted.programs) {
        const auto found = old.find(program.name);
        if (found == old.end()) {
            difference.added.push_back(program.name);
            continue;
        }
        if (!(*found->second == program))
            difference.changed.push_back(change_of(*found->second, program));
        old.erase(found);
    }
    for (const Program& program : running.programs) {
        if (old.contains(program.name)) difference.removed.push_back(program.name);
    }
    compare_general(running, wanted, difference);
    compare_groups(running, wanted, difference);
    return difference;
}

}  // namespace muster::config
