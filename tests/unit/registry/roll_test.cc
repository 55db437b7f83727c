#include "registry/roll.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>

#include "../redis/rig.h"

using namespace muster;
using namespace std::chrono_literals;
using registry::InstanceFacts;
using registry::Registration;
using registry::Roll;
using registry::RollEntry;
using test::RedisServer;
using test::run_until;
using Strings = std::vector<std::string>;

namespace {

InstanceFacts facts(const std::string& id, Duration lease = 90s) {
    return {.id = id,
            .service = "analytics",
            .host = "box",
            .version = "0.1",
            .started_at = WallTime{1'778'894'688s},
            .lease = lease,
            .place = {.pid_namespace = "boot/4026531836",
                      .container = "docker:0f",
                      .is_first = true,
                      .pid = 1,
                      .start_ticks = 77,
                      .uid = 1000},
            .programs = {{"shap", "rq", 2}, {"redis", "none", 1}},
            .lease_left = {},
            .workers = 0};
}

RollEntry entry(const std::string& given, pid_t pid = 42) {
    return {.given = given,
            .name = given,
            .kind = "rq",
            .process = "shap_00",
            .program = "shap",
            .incarnation = Incarnation{3},
            .pid = pid,
            .start_ticks = 1234,
            .host = "box",
            .spawned_at = WallTime{1'778'894'688s + 250ms},
            .registered_pid = {},
            .birth = {},
            .queues = {},
            .version = {},
            .jobs = core::Jobs::hand_back,
            .poison = {},
            .value = {}};
}

struct Instance {
    Instance(loop::Loop& loop, RedisServer& server, InstanceFacts me)
        : client(loop,
                 {.url = server.url()},
                 [this](const redis::Client::State& state) {
                     state.connected ? roll.connected() : roll.disconnected();
                 }),
          roll(loop,
               client,
               "muster",
               std::move(me),
               {[this](const Strings& ids) {
                    over = ids;
                    ++renewals;
                },
                [this] { ++forgotten; },
                [this](const Error& error) { trouble = error.message(); }}) {
        client.start();
    }
    redis::Client client;
    Roll roll;
    Strings over;
    int renewals = 0;
    int forgotten = 0;
    std::string trouble;
};

struct Rig {
    std::vector<InstanceFacts> instances(redis::Client& client) {
        std::optional<Result<std::vector<InstanceFacts>>> answer;
        registry::read_instances(client, "muster",
                                 [&](auto result) { answer = std::move(result); });
        REQUIRE(run_until(loop, [&] { return answer.has_value(); }));
        REQUIRE(*answer);
        return **answer;
    }
    std::vector<RollEntry> entries(redis::Client& client, const std::string& id) {
        std::optional<Result<std::vector<RollEntry>>> answer;
        registry::read_roll(client, "muster", id, [&](auto result) { answer = std::move(result); });
        REQUIRE(run_until(loop, [&] { return answer.has_value(); }));
        REQUIRE(*answer);
        for (RollEntry& one : **answer) one.value.clear();
        return **answer;
    }
    std::size_t in_roll(const std::string& id) {
        return static_cast<std::size_t>(server.number({"HLEN", "muster:roll:" + id}));
    }
    bool renewed(Instance& one, int times = 1) {
        return run_until(loop, [&] { return one.renewals >= times; });
    }
    std::int64_t commands() {
        const std::string all = server.text({"INFO", "commandstats"});
        const auto at = all.find("cmdstat_evalsha:calls=");
        return at == std::string::npos ? 0 : std::stoll(all.substr(at + 22));
    }
    RedisServer server;
    loop::Loop loop;
};

}  // namespace

TEST_CASE("an entry comes back as it went, whatever stands in its name") {
    RollEntry whole = entry("w-\"1\"\xc3\xa9");
    whole.name = "chosen";
    whole.registered_pid = "43";
    whole.birth = "2026-05-16T01:24:49.250000Z";
    whole.queues = {"high", "low:er"};
    whole.version = "2.3.3";
    whole.jobs = core::Jobs::fail;
    whole.poison = {.deaths = 5, .within = 90min};
    RollEntry custom = entry("w");
    custom.kind = "custom";
    custom.custom = registry::CustomEntry{
        .set = "crew", .member = "w", .key = "crew:w", .fields = {{"pid", "43"}, {"a", "\"b\""}}};
    for (RollEntry one : {whole, custom, entry("w")}) {
        const std::string text = encode(one);
        auto back = registry::decode_entry(one.given, text);
        REQUIRE(back);
        CHECK(back->value == text);
        back->value.clear();
        CHECK(*back == one);
    }
    for (const char* broken : {"", "{", "[]", "{}", "7", R"({"kind":7,"pid":1})",
                               R"({"kind":"rq","pid":0})", R"({"kind":"rq","pid":"1"})"})
        CHECK_FALSE(registry::decode_entry("w", broken));
    for (const char* part : {"{}", "7", R"({"set":"s","member":"m","key":"k"})",
                             R"({"set":"s","member":"m","key":7,"fields":[]})",
                             R"({"set":"s","member":"m","key":"k","fields":[["a"]]})"}) {
        CAPTURE(part);  // half of it would match too much
        const auto one = registry::decode_entry(
            "w", R"({"kind":"custom","pid":1,"custom":)" + std::string(part) + "}");
        REQUIRE(one);
        CHECK_FALSE(one->custom);
    }
}

TEST_CASE("an instance and its workers are in the roll from the spawn to the release") {
    Rig rig;
    Instance us(rig.loop, rig.server, facts("us"));
    us.roll.put(entry("a"));
    us.roll.put(entry("b", 43));
    REQUIRE(rig.renewed(us));
    auto seen = rig.instances(us.client);
    REQUIRE(seen.size() == 1);
    CHECK(seen[0].service == "analytics");
    CHECK(seen[0].host == "box");
    CHECK(seen[0].version == "0.1");
    CHECK(seen[0].started_at == WallTime{1'778'894'688s});
    CHECK(seen[0].lease == 90s);
    CHECK(seen[0].place == facts("us").place);
    CHECK(seen[0].programs == facts("us").programs);
    CHECK(seen[0].workers == 2);
    CHECK(seen[0].lease_left > 88s);
    CHECK(seen[0].lease_left <= 90s);

    us.roll.registered("b", {.name = "chosen",
                             .pid = "44",
                             .hostname = "box",
                             .birth = "2026-05-16T01:24:49.250000Z",
                             .queues = {"high"},
                             .version = "2.3.3"});
    us.roll.remove("a");
    us.roll.remove("nobody");
    REQUIRE(rig.renewed(us, 2));
    RollEntry b = entry("b", 43);
    b.name = "chosen";
    b.registered_pid = "44";
    b.birth = "2026-05-16T01:24:49.250000Z";
    b.queues = {"high"};
    b.version = "2.3.3";
    CHECK(rig.entries(us.client, "us") == std::vector<RollEntry>{b});
}

TEST_CASE("all changes of a turn, and the renewal, are one command") {
    Rig rig;
    Instance us(rig.loop, rig.server, facts("us"));
    REQUIRE(rig.renewed(us));
    rig.server.ask({"CONFIG", "RESETSTAT"});
    for (int i = 0; i < 400; ++i) us.roll.put(entry("w" + std::to_string(i)));
    for (int i = 0; i < 100; ++i) us.roll.remove("w" + std::to_string(i));
    REQUIRE(rig.renewed(us, 2));
    CHECK(rig.commands() == 1);
    CHECK(rig.in_roll("us") == 300);
    for (int i = 0; i < 2000; ++i) us.roll.put(entry("x" + std::to_string(i)));
    REQUIRE(rig.renewed(us, 3));
    CHECK(rig.commands() == 5);  // 500 entries each
    CHECK(rig.entries(us.client, "us").size() == 2300);
}

TEST_CASE("the lease is renewed each third of it, and is over for others when it is not") {
    Rig rig;
    Instance other(rig.loop, rig.server, facts("other", 300ms));
    Instance us(rig.loop, rig.server, facts("us", 300ms));
    other.roll.put(entry("w"));
    REQUIRE(rig.renewed(us, 5));
    CHECK(us.over.empty());
    other.roll.disconnected();  // it is gone
    REQUIRE(run_until(
        rig.loop, [&] { return us.over == Strings{"other"}; }, 2s));
    rig.server.ask({"SET", "muster:settling:other", "somebody"});
    REQUIRE(run_until(
        rig.loop, [&] { return us.over.empty(); }, 2s));
    CHECK(other.over.empty());
}

TEST_CASE("nobody judges within the first lease of its connection or of the data") {
    Rig rig;
    Instance us(rig.loop, rig.server, facts("us", 300ms));
    REQUIRE(rig.renewed(us));
    CHECK_FALSE(us.roll.may_judge());
    REQUIRE(run_until(
        rig.loop, [&] { return us.roll.may_judge(); }, 2s));
    rig.server.ask({"FLUSHALL"});
    const int before = us.renewals;
    REQUIRE(rig.renewed(us, before + 1));
    CHECK_FALSE(us.roll.may_judge());
    REQUIRE(run_until(
        rig.loop, [&] { return us.roll.may_judge(); }, 2s));
}

TEST_CASE("after Redis was emptied the whole is sent again at the next renewal") {
    Rig rig;
    Instance us(rig.loop, rig.server, facts("us", 300ms));
    for (int i = 0; i < 600; ++i) us.roll.put(entry("w" + std::to_string(i)));
    REQUIRE(rig.renewed(us));
    CHECK(us.forgotten == 0);
    rig.server.ask({"FLUSHALL"});
    REQUIRE(run_until(
        rig.loop, [&] { return rig.in_roll("us") == 600; }, 2s));
    CHECK(us.forgotten == 1);
    CHECK(rig.instances(us.client).size() == 1);
}

TEST_CASE("what changed while Redis was away is sent when it is back") {
    Rig rig;
    Instance us(rig.loop, rig.server, facts("us", 300ms));
    us.roll.put(entry("old"));
    REQUIRE(rig.renewed(us));
    rig.server.stop();
    REQUIRE(run_until(rig.loop, [&] { return !us.client.is_connected(); }));
    us.roll.remove("old");
    us.roll.put(entry("new"));
    rig.server.start();
    REQUIRE(run_until(rig.loop, [&] { return rig.in_roll("us") == 1; }));
    CHECK(rig.entries(us.client, "us") == std::vector<RollEntry>{entry("new")});
}

TEST_CASE("a refused renewal is told, and tried again as a whole") {
    Rig rig;
    rig.server.ask({"SET", "muster:roll:us", "in the way"});
    rig.server.ask({"SET", "muster:instances", "in the way"});
    Instance us(rig.loop, rig.server, facts("us", 150ms));
    us.roll.put(entry("w"));
    REQUIRE(run_until(rig.loop, [&] { return !us.trouble.empty(); }));
    CHECK(us.trouble.starts_with("renewing the lease: Redis refuses: "));
    rig.server.ask({"DEL", "muster:instances"});
    REQUIRE(rig.renewed(us));
    CHECK(rig.in_roll("us") == 1);
}

TEST_CASE("those of a place are found by it, whoever they are") {
    Rig rig;
    Instance first(rig.loop, rig.server, facts("first"));
    auto elsewhere = facts("second");
    elsewhere.place.pid_namespace = "boot/7";
    Instance second(rig.loop, rig.server, elsewhere);
    elsewhere.id = "third";
    elsewhere.place.container = "docker:ff";
    Instance third(rig.loop, rig.server, elsewhere);
    REQUIRE(run_until(
        rig.loop, [&] { return first.renewals > 0 && second.renewals > 0 && third.renewals > 0; }));
    const auto ids = [&](const registry::Place& place) {
        std::optional<Strings> found;
        read_instances_of(first.client, "muster", place,
                          [&](Result<std::vector<InstanceFacts>> result) {
                              REQUIRE(result);
                              found.emplace();
                              for (const auto& one : *result) found->push_back(one.id);
                          });
        CHECK_FALSE(found);  // never inside the call
        REQUIRE(run_until(rig.loop, [&] { return found.has_value(); }));
        std::ranges::sort(*found);
        return *found;
    };
    registry::Place place;
    CHECK(ids(place).empty());
    place.pid_namespace = "boot/7";
    CHECK(ids(place) == Strings{"second", "third"});
    place.container = "docker:0f";
    CHECK(ids(place) == Strings{"first", "second", "third"});
}

TEST_CASE("an instance that leaves takes its empty roll along, or leaves it to others at once") {
    Rig rig;
    Instance us(rig.loop, rig.server, facts("us"));
    Instance other(rig.loop, rig.server, facts("other"));
    us.roll.put(entry("w"));
    other.roll.put(entry("debt"));
    REQUIRE(run_until(rig.loop, [&] { return rig.in_roll("us") + rig.in_roll("other") == 2; }));
    us.roll.remove("w");
    bool is_done = false;
    us.roll.leave([&] { is_done = true; });
    REQUIRE(run_until(rig.loop, [&] { return is_done; }));
    CHECK(rig.server.number({"EXISTS", "muster:instance:us", "muster:roll:us"}) == 0);
    CHECK(rig.server.number({"SISMEMBER", "muster:place:docker:0f", "us"}) == 0);
    is_done = false;
    other.roll.leave([&] { is_done = true; });
    REQUIRE(run_until(rig.loop, [&] { return is_done; }));
    const auto seen = rig.instances(us.client);
    REQUIRE(seen.size() == 1);
    CHECK(seen[0].id == "other");
    CHECK(seen[0].lease_left < 0s);
    CHECK(seen[0].workers == 1);
}
