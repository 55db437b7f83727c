#pragma once
// A job system's adapter on a real redis-server.

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../redis/rig.h"
#include "base/text.h"
#include "registry/system.h"

namespace muster::test {

using Strings = std::vector<std::string>;

// 2026-05-16T01:24:48Z
inline const WallTime spawn_time{std::chrono::seconds{1'778'894'688}};

class SystemRig {
public:
    explicit SystemRig(registry::RegistryKind kind, registry::SystemOptions options = our_options())
        : kind_(kind),
          client(loop, {.url = server.url()}, {}),
          system(registry::make_system(kind, client, options)) {
        REQUIRE(system);
        REQUIRE(system->kind() == kind);
        client.start();
        REQUIRE(run_until(loop, [this] { return client.is_connected(); }));
    }

    static registry::SystemOptions our_options() {
        return {.hostname = "box", .owner = "us", .prefix = "muster", .is_of_family = {}};
    }

    [[nodiscard]] registry::Sought sought(pid_t pid = 42, const std::string& name = "w") const {
        return {.process = ProcessId{1},
                .incarnation = Incarnation{1},
                .name = name,
                .pid = Pid{pid},
                .spawned_at = spawn_time,
                .may_choose_own_name = true,
                .kind = kind_};
    }
    [[nodiscard]] registry::Release death(
        std::optional<registry::Registration> registration = std::nullopt) const {
        return {.process = ProcessId{1},
                .incarnation = Incarnation{1},
                .name = "w",
                .pid = Pid{42},
                .hostname = "box",
                .spawned_at = spawn_time,
                .registration = std::move(registration),
                .may_choose_own_name = true,
                .kind = kind_};
    }
    Result<registry::Released> try_release(const registry::Release& release) {
        std::optional<Result<registry::Released>> answer;
        bool is_inside = true;
        system->release(release, [&](Result<registry::Released> result) {
            CHECK_FALSE(is_inside);
            answer = std::move(result);
        });
        is_inside = false;
        REQUIRE(run_until(loop, [&] { return answer.has_value(); }));
        return std::move(*answer);
    }
    registry::Released release(const registry::Release& release) {
        auto result = try_release(release);
        REQUIRE(result);
        return *result;
    }
    std::vector<std::optional<registry::Registration>> look(std::vector<registry::Sought> sought) {
        const std::size_t asked = sought.size();
        std::optional<Result<std::vector<registry::System::Found>>> answer;
        bool is_inside = true;
        system->look(std::move(sought), [&](auto result) {
            CHECK_FALSE(is_inside);
            answer = std::move(result);
        });
        is_inside = false;
        REQUIRE(run_until(loop, [&] { return answer.has_value(); }));
        REQUIRE(*answer);
        REQUIRE((*answer)->size() == asked);
        std::vector<std::optional<registry::Registration>> found;
        for (const auto& one : **answer) found.push_back(one.second);
        return found;
    }
    // Every key with its content: equal dumps, equal keyspaces.
    std::string everything() {
        Strings keys;
        for (const auto& key : server.ask({"KEYS", "*"}).elements) keys.push_back(key.text);
        std::ranges::sort(keys);
        std::string all;
        for (const auto& key : keys)
            all += key + contents(key) + server.text({"OBJECT", "ENCODING", key});
        return all;
    }

private:
    // A set's dump has its members in the order of a hash table, which is not that of one that was
    // filled again.
    std::string contents(const std::string& key) {
        if (server.text({"TYPE", key}) != "set") return server.text({"DUMP", key});
        Strings members;
        for (const auto& member : server.ask({"SMEMBERS", key}).elements)
            members.push_back(member.text);
        std::ranges::sort(members);
        return joined(members, "\n");
    }

    registry::RegistryKind kind_;

public:
    RedisServer server;
    loop::Loop loop;
    redis::Client client;
    std::unique_ptr<registry::System> system;
};

}  // namespace muster::test
