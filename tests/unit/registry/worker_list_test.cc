#include "registry/worker_list.h"

#include <doctest/doctest.h>

#include <map>
#include <optional>

#include "../redis/rig.h"

using namespace muster;
using namespace std::chrono_literals;
using registry::Evidence;
using registry::judged;
using registry::Life;
using registry::ListedWorker;
using registry::Owners;
using registry::PageWanted;
using registry::RegistryKind;
using registry::Veto;
using registry::WorkerList;
using registry::WorkersPage;
using test::RedisServer;
using test::run_until;

namespace {

struct Rig {
    Rig() : client(loop, {.url = server.url()}, {}) {
        client.start();
        REQUIRE(run_until(loop, [this] { return client.is_connected(); }));
    }
    void registers(const std::string& name) {
        const auto key = "rq:worker:" + name;
        server.ask({"HSET", key, "pid", "42", "hostname", "box", "queues", "high,low", "state",
                    "busy", "last_heartbeat", "2026-05-16T01:24:49.250000Z"});
        server.ask({"EXPIRE", key, "480"});
        is_member(name);
    }
    void is_member(const std::string& name) {
        server.ask({"SADD", "rq:workers", "rq:worker:" + name});
    }
    WorkerList list(std::unordered_map<std::string, std::string> ours = {}) {
        return {
            loop,
            client,
            {*registry::member_sets(RegistryKind::rq),
             *registry::member_sets(RegistryKind::sidekiq)},
            {.prefix = "muster", .instance = "us", .apart = 60s, .ours = [ours] { return ours; }}};
    }
    Result<WorkersPage> page(WorkerList& list, const PageWanted& wanted = {}) {
        std::optional<Result<WorkersPage>> answer;
        list.page(wanted, [&](Result<WorkersPage> page) { answer = std::move(page); });
        REQUIRE_FALSE(answer);
        REQUIRE(run_until(loop, [&] { return answer.has_value(); }));
        return *answer;
    }
    std::map<std::string, ListedWorker> all(WorkerList& list, PageWanted wanted = {}) {
        std::map<std::string, ListedWorker> found;
        for (;;) {
            const auto read = page(list, wanted);
            REQUIRE(read);
            for (const auto& worker : read->workers) found[worker.name] = worker;
            if (read->next.empty()) return found;
            wanted.after = read->next;
        }
    }

    RedisServer server;
    loop::Loop loop;
    redis::Client client;
};

}  // namespace

TEST_CASE("what is said of a worker, by the evidence") {
    Evidence no_key{.was_looked_at = true, .heartbeat_age = -1s, .apart = 60s};
    CHECK(judged(no_key).life == Life::stale);
    CHECK(judged(no_key).why.find("removes it in 60 s") != std::string::npos);
    no_key.missing_for = 61s;
    CHECK(judged(no_key).why.find("next sweep") != std::string::npos);
    no_key.veto = Veto::subscribed;
    CHECK(judged(no_key).life == Life::unknown);
    no_key.veto = Veto::unseen;
    CHECK(judged(no_key).life == Life::unknown);
    const Owners::Instance live{.id = "box-1", .lease_left = 30s};
    no_key.owner = &live;
    CHECK(judged(no_key).life == Life::alive);

    Evidence key{.key_left_ms = 400'000, .heartbeat_age = 300s, .apart = 60s};
    CHECK(judged(key).life == Life::unknown);
    CHECK(judged(key).why.find("400 s") != std::string::npos);
    key.veto = Veto::subscribed;
    CHECK(judged(key).life == Life::alive);
    key.veto = Veto::none;
    key.heartbeat_age = 20s;
    CHECK(judged(key).life == Life::alive);
    key.heartbeat_age = -3600s;  // its clock is an hour fast
    CHECK(judged(key).life == Life::unknown);
    const Owners::Instance dead{.id = "box-2", .lease_left = -10s};
    key.owner = &dead;
    CHECK(judged(key).life == Life::unknown);
    CHECK(judged(key).why.find("box-2 is over since 10 s") != std::string::npos);
    key.is_ours = true;
    CHECK(judged(key).life == Life::alive);
    CHECK(judged({.key_left_ms = 30'000, .has_died_in_order = true}).life == Life::stale);
    CHECK(judged({.key_left_ms = -1, .heartbeat_age = -1s}).why.find("for ever") !=
          std::string::npos);
    CHECK(judged({.key_left_ms = 30'000, .has_signs = false}).life == Life::alive);
}

TEST_CASE("the list tells of each worker whose it is and what it registered") {
    Rig rig;
    for (const char* name : {"mine", "theirs", "foreign"}) rig.registers(name);
    rig.is_member("gone");
    rig.server.ask({"SADD", "processes", "box:1:aa"});
    rig.server.ask({"ZADD", "muster:instances", "99999999999999", "box-1"});
    rig.server.ask({"HSET", "muster:roll:box-1", "theirs", R"({"process":"mail_03"})"});
    auto list = rig.list({{"mine", "shap_00"}});
    const auto found = rig.all(list);
    REQUIRE(found.size() == 5);
    CHECK(found.at("mine").life == Life::alive);
    CHECK(found.at("mine").instance == "us");
    CHECK(found.at("mine").process == "shap_00");
    CHECK(found.at("theirs").life == Life::alive);
    CHECK(found.at("theirs").instance == "box-1");
    CHECK(found.at("theirs").process == "mail_03");
    CHECK(found.at("foreign").life == Life::unknown);
    CHECK(found.at("foreign").instance.empty());
    CHECK(found.at("foreign").pid == "42");
    CHECK(found.at("foreign").host == "box");
    CHECK(found.at("foreign").queues == "high,low");
    CHECK(found.at("foreign").activity == "busy");
    CHECK(found.at("gone").life == Life::stale);
    CHECK(found.at("box:1:aa").kind == "sidekiq");
    CHECK(rig.all(list, {.only_stale = true}).size() == 2);
}

TEST_CASE("many workers come in pages, each once, and a list of a few stale ones in few") {
    Rig rig;
    std::vector<std::string> argv{"SADD", "rq:workers"};
    for (int i = 0; i < 3000; ++i) argv.push_back("rq:worker:w" + std::to_string(i));
    rig.server.ask(argv);
    auto list = rig.list();
    CHECK(rig.all(list, {.limit = 200}).size() == 3000);
    const auto first = rig.page(list, {.limit = 200});
    REQUIRE(first);
    CHECK(first->workers.size() < 250);
    CHECK_FALSE(first->next.empty());
}

TEST_CASE(
    "a page that was never told of is refused, and lists asked for together are all answered") {
    Rig rig;
    rig.registers("w");
    auto list = rig.list();
    for (const char* after : {"x", "7:0", "0:", "0:x", ":1"})
        CHECK_FALSE(rig.page(list, {.after = after}));
    int answers = 0;
    for (int i = 0; i < 3; ++i)
        list.page({}, [&](const Result<WorkersPage>& page) {
            CHECK(page.ok());
            ++answers;
        });
    CHECK(run_until(rig.loop, [&] { return answers == 3; }));
}

TEST_CASE("a Redis that is away is an error for all who asked") {
    Rig rig;
    auto list = rig.list();
    rig.server.stop();
    CHECK_FALSE(rig.page(list));
    CHECK_FALSE(rig.page(list));
}
