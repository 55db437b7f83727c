#include "registry/rq.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>

#include "../redis/rig.h"
#include "registry/scripts.h"

using namespace muster;
using namespace std::chrono_literals;
using redis::Reply;
using registry::Registration;
using registry::Release;
using registry::Released;
using registry::Rq;
using registry::Sought;
using test::RedisServer;
using test::run_until;
using Verdict = Released::Verdict;
using Strings = std::vector<std::string>;

namespace {

const std::string an_execution = "0123456789abcdef0123456789abcdef";
const std::string another_execution = "fedcba9876543210fedcba9876543210";

// 2026-05-16T01:24:48Z, and the births of workers spawned then
const WallTime spawn_time{std::chrono::seconds{1'778'894'688}};
const std::string a_birth = "2026-05-16T01:24:49.250000Z";

struct Rig {
    explicit Rig(registry::SystemOptions options = {.hostname = "box",
                                                    .owner = "us",
                                                    .prefix = "muster",
                                                    .is_of_family = {}})
        : client(loop, {.url = server.url()}, {}), rq(client, std::move(options)) {
        client.start();
        REQUIRE(run_until(loop, [this] { return client.is_connected(); }));
    }

    // What RQ writes at a worker's start.
    Registration registers(const std::string& name,
                           const std::string& pid = "42",
                           const std::string& version = "2.3.3") {
        const std::string key = "rq:worker:" + name;
        server.ask({"HSET", key, "pid", pid, "hostname", "box", "birth", a_birth, "queues",
                    "high,low", "version", version, "state", "busy"});
        server.ask({"EXPIRE", key, "480"});
        for (const char* set : {"rq:workers", "rq:workers:high", "rq:workers:low"})
            server.ask({"SADD", set, key});
        for (const char* queue : {"high", "low"})
            server.ask({"SADD", "rq:queues", std::string("rq:queue:") + queue});
        return {.name = name,
                .pid = pid,
                .hostname = "box",
                .birth = a_birth,
                .queues = {"high", "low"},
                .version = version};
    }
    // A job in flight, as RQ 2 keeps it; RQ 3 names the owner in the execution too.
    void runs(const std::string& worker,
              const std::string& job,
              const std::string& execution = an_execution,
              const std::string& owner = "") {
        server.ask({"HSET", "rq:job:" + job, "status", "started", "worker_name", worker});
        server.ask({"ZADD", "rq:wip:high", "2000000000", job + ":" + execution});
        server.ask({"HSET", "rq:execution:" + job + ":" + execution, "id", execution});
        if (!owner.empty())
            server.ask({"HSET", "rq:execution:" + job + ":" + execution, "worker_name", owner});
    }
    std::string score(const std::string& member) {
        return server.text({"ZSCORE", "rq:wip:high", member});
    }
    bool is_registered(const std::string& name) {
        return server.number({"EXISTS", "rq:worker:" + name}) == 1 ||
               server.number({"SISMEMBER", "rq:workers", "rq:worker:" + name}) == 1 ||
               server.number({"SISMEMBER", "rq:workers:high", "rq:worker:" + name}) == 1 ||
               server.number({"SISMEMBER", "rq:workers:low", "rq:worker:" + name}) == 1;
    }
    // Every key with its content: equal dumps, equal keyspaces.
    std::string everything() {
        Strings keys;
        for (const auto& key : server.ask({"KEYS", "*"}).elements) keys.push_back(key.text);
        std::ranges::sort(keys);
        std::string all;
        for (const auto& key : keys)
            all += key + server.text({"DUMP", key}) + server.text({"OBJECT", "ENCODING", key});
        return all;
    }

    static Release death(std::optional<Registration> registration = std::nullopt) {
        return {.process = ProcessId{1},
                .incarnation = Incarnation{1},
                .name = registration ? registration->name : "w",
                .pid = Pid{42},
                .hostname = "box",
                .spawned_at = spawn_time,
                .registration = std::move(registration)};
    }
    Released release(const Release& release) {
        std::optional<Result<Released>> answer;
        rq.release(release, [&](Result<Released> result) { answer = std::move(result); });
        REQUIRE(run_until(loop, [&] { return answer.has_value(); }));
        REQUIRE(*answer);
        return **answer;
    }
    std::vector<std::optional<Registration>> look(std::vector<Sought> sought) {
        const auto asked = sought;
        std::optional<Result<std::vector<Rq::Found>>> answer;
        rq.look(std::move(sought), [&](auto result) { answer = std::move(result); });
        REQUIRE(run_until(loop, [&] { return answer.has_value(); }));
        REQUIRE(*answer);
        REQUIRE((*answer)->size() == asked.size());
        std::vector<std::optional<Registration>> found;
        for (std::size_t i = 0; i < asked.size(); ++i) {
            CHECK((**answer)[i].first.name == asked[i].name);
            found.push_back((**answer)[i].second);
        }
        return found;
    }
    RedisServer server;
    loop::Loop loop;
    redis::Client client;
    Rq rq;
};

Sought sought(const std::string& name, pid_t pid = 42, bool may_choose_own_name = false) {
    return {.process = ProcessId{1},
            .incarnation = Incarnation{1},
            .name = name,
            .pid = Pid{pid},
            .spawned_at = spawn_time,
            .may_choose_own_name = may_choose_own_name};
}

}  // namespace

TEST_CASE("a registration is learnt by the name that we gave") {
    Rig rig;
    const auto registered = rig.registers("w");
    const auto found = rig.look({sought("w"), sought("nobody")});
    CHECK(found[0] == registered);
    CHECK_FALSE(found[1]);
    CHECK(rig.look({}).empty());
}

TEST_CASE("another's registration, or an earlier life's, is not taken for ours") {
    Rig rig;
    rig.registers("w");
    CHECK_FALSE(rig.look({sought("w", 43)})[0]);
    auto later = sought("w");
    later.spawned_at = spawn_time + 5s;
    CHECK_FALSE(rig.look({later})[0]);
    later.is_name_unique = true;  // then its clock is wrong, and it is ours all the same
    later.spawned_at = spawn_time + 1h;
    CHECK(rig.look({later})[0]);
    later.pid = Pid{43};
    CHECK_FALSE(rig.look({later})[0]);
    rig.server.ask({"HSET", "rq:worker:w", "hostname", "elsewhere"});
    CHECK_FALSE(rig.look({sought("w")})[0]);
    rig.registers("w");
    rig.server.ask({"HSET", "rq:worker:w", "death", a_birth});
    CHECK_FALSE(rig.look({sought("w")})[0]);
    rig.server.ask({"DEL", "rq:worker:w"});
    rig.server.ask({"HSET", "rq:worker:w", "last_heartbeat", a_birth});
    CHECK_FALSE(rig.look({sought("w")})[0]);
}

TEST_CASE("a worker that chose its own name is found by host and pid, among many") {
    Rig rig;
    for (int i = 0; i < 1500; ++i)
        rig.registers("other" + std::to_string(i), std::to_string(10'000 + i));
    const auto registered = rig.registers("chosen");
    CHECK_FALSE(rig.look({sought("given")})[0]);
    const auto found =
        rig.look({sought("given", 42, true), sought("other7", 10'007), sought("gone", 77, true)});
    CHECK(found[0] == registered);
    CHECK(found[1]->name == "other7");
    CHECK_FALSE(found[2]);
}

TEST_CASE("a wrapper's child is found through the family") {
    Rig rig({.hostname = "box",
             .owner = "us",
             .prefix = "muster",
             .is_of_family = [](Pid registered, const Sought& whose) {
                 return registered == Pid{42} && whose.pid == Pid{41};
             }});
    rig.registers("w");
    CHECK(rig.look({sought("w", 41)})[0]);
    CHECK_FALSE(rig.look({sought("w", 40)})[0]);
    CHECK(rig.look({sought("given", 41, true)})[0]->name == "w");
}

TEST_CASE("many names are looked for at once, in their order") {
    Rig rig;
    std::vector<Sought> all;
    for (int i = 0; i < 450; ++i) {
        all.push_back(sought("w" + std::to_string(i), 1000 + i));
        if (i % 2 == 0) rig.registers(all.back().name, std::to_string(1000 + i));
    }
    const auto found = rig.look(all);
    for (std::size_t i = 0; i < found.size(); ++i) {
        CHECK(found[i].has_value() == (i % 2 == 0));
        if (found[i]) CHECK(found[i]->name == all[i].name);
    }
}

TEST_CASE("an exact match is removed whole, and its job handed back (I4, I5)") {
    Rig rig;
    rig.registers("foreign", "43");
    rig.runs("foreign", "theirs", another_execution);
    const std::string before = rig.everything();
    const auto registration = rig.registers("w");
    rig.runs("w", "job");
    const auto done = rig.release(Rig::death(registration));
    CHECK(done.verdict == Verdict::removed);
    CHECK(done.handed_back == Strings{"job"});
    CHECK(done.detail.empty());
    CHECK_FALSE(rig.is_registered("w"));
    CHECK(rig.score("job:" + an_execution) == "1");
    CHECK(rig.score("theirs:" + another_execution) == "2000000000");
    for (const char* key : {"rq:job:job", "rq:execution:job:0123456789abcdef0123456789abcdef",
                            "rq:results:job"})  // it has no retries: why it fails
        rig.server.ask({"DEL", key});
    rig.server.ask({"ZREM", "rq:wip:high", "job:" + an_execution});
    CHECK(rig.everything() == before);

    const auto again = rig.release(Rig::death(registration));
    CHECK(again.verdict == Verdict::nothing_there);
    CHECK(rig.everything() == before);
}

TEST_CASE("a registration that differs in anything is not touched, nor its job (I4)") {
    Rig rig;
    const auto live = rig.registers("w");
    rig.runs("w", "job");
    rig.runs("w", "newest", another_execution, "w");
    const std::string before = rig.everything();
    auto other = live;
    SUBCASE("pid") {
        other.pid = "43";
    }
    SUBCASE("hostname") {
        other.hostname = "elsewhere";
    }
    SUBCASE("birth") {
        other.birth = "2026-05-16T01:24:49.250001Z";
    }
    const auto done = rig.release(Rig::death(other));
    if (other == live) return;  // doctest's run outside of the subcases
    CHECK(done.verdict == Verdict::mismatch);
    CHECK(done.detail == "held by pid 42 on box since " + a_birth);
    CHECK(done.handed_back.empty());
    CHECK(rig.everything() == before);
}

TEST_CASE("a half written registration is a mismatch, a key of another type too") {
    Rig rig;
    auto registration = rig.registers("w");
    rig.server.ask({"HDEL", "rq:worker:w", "birth"});
    CHECK(rig.release(Rig::death(registration)).verdict == Verdict::mismatch);
    CHECK(rig.release(Rig::death()).verdict == Verdict::mismatch);
    CHECK(rig.is_registered("w"));
    rig.server.ask({"DEL", "rq:worker:w"});
    rig.server.ask({"SET", "rq:worker:w", "x"});
    CHECK(rig.release(Rig::death(registration)).verdict == Verdict::mismatch);
    CHECK(rig.server.text({"GET", "rq:worker:w"}) == "x");
}

TEST_CASE("a birth that was never learnt must not be before the spawn") {
    Rig rig;
    rig.registers("w");
    rig.runs("w", "job");
    const std::string before = rig.everything();
    auto death = Rig::death();
    death.spawned_at = spawn_time + 4s;
    CHECK(rig.release(death).verdict == Verdict::mismatch);
    death = Rig::death();
    death.pid = Pid{43};
    CHECK(rig.release(death).verdict == Verdict::mismatch);
    death = Rig::death();
    death.hostname = "elsewhere";
    CHECK(rig.release(death).verdict == Verdict::mismatch);
    CHECK(rig.everything() == before);
    death = Rig::death();
    death.spawned_at = spawn_time + 3s;  // the birth is 1.75 s earlier: within the tolerance
    const auto done = rig.release(death);
    CHECK(done.verdict == Verdict::removed);
    CHECK(done.handed_back == Strings{"job"});
    CHECK_FALSE(rig.is_registered("w"));
    rig.registers("w");
    death = Rig::death();
    death.spawned_at = spawn_time + 1h;
    death.is_name_unique = true;  // nobody else ever had this name
    CHECK(rig.release(death).verdict == Verdict::removed);
}

TEST_CASE("a worker that died before it was seen is found under its own name") {
    Rig rig;
    rig.registers("chosen");
    auto death = Rig::death();
    death.name = "given";
    CHECK(rig.release(death).verdict == Verdict::nothing_there);
    CHECK(rig.is_registered("chosen"));
    death.may_choose_own_name = true;
    CHECK(rig.release(death).verdict == Verdict::removed);
    CHECK_FALSE(rig.is_registered("chosen"));
}

TEST_CASE("a horse's scrap is removed") {
    Rig rig;
    const auto registration = rig.registers("w");
    rig.server.ask({"DEL", "rq:worker:w"});
    rig.server.ask(
        {"HSET", "rq:worker:w", "successful_job_count", "1", "total_working_time", "2.5"});
    CHECK(rig.release(Rig::death(registration)).verdict == Verdict::zombie_removed);
    CHECK_FALSE(rig.is_registered("w"));
}

TEST_CASE("a cold shutdown registers its death but leaves its job, which is handed back") {
    Rig rig;
    const auto registration = rig.registers("w");
    rig.runs("w", "job");
    rig.server.ask({"HSET", "rq:worker:w", "death", a_birth});
    for (const char* set : {"rq:workers", "rq:workers:high", "rq:workers:low"})
        rig.server.ask({"SREM", set, "rq:worker:w"});
    SUBCASE("with its hash") {}
    SUBCASE("after its hash has expired") {
        rig.server.ask({"DEL", "rq:worker:w"});
    }
    const auto done = rig.release(Rig::death(registration));
    CHECK(done.verdict == Verdict::nothing_there);
    CHECK(done.handed_back == Strings{"job"});
    CHECK(rig.score("job:" + an_execution) == "1");
    CHECK_FALSE(rig.is_registered("w"));
}

TEST_CASE("set entries without a hash go, also from queues that nobody remembers") {
    Rig rig;
    rig.registers("w");
    rig.server.ask({"DEL", "rq:worker:w"});
    CHECK(rig.release(Rig::death()).verdict == Verdict::removed);
    CHECK_FALSE(rig.is_registered("w"));
    CHECK(rig.release(Rig::death()).verdict == Verdict::nothing_there);
}

TEST_CASE("hand back can be off: the job is left, the registration goes") {
    Rig rig;
    auto death = Rig::death(rig.registers("w"));
    rig.runs("w", "job");
    death.jobs = core::Jobs::leave;
    CHECK(rig.release(death).verdict == Verdict::removed);
    CHECK(rig.score("job:" + an_execution) == "2000000000");
}

TEST_CASE("a requeued job that keeps its former worker's name is not that worker's") {
    Rig rig;
    const auto registration = rig.registers("w");
    rig.runs("w", "queued");
    rig.server.ask({"HSET", "rq:job:queued", "status", "queued"});
    rig.server.ask({"RPUSH", "rq:queue:high:intermediate", "queued"});
    rig.runs("other", "theirs", another_execution);
    const auto done = rig.release(Rig::death(registration));
    CHECK(done.verdict == Verdict::removed);
    CHECK(done.handed_back.empty());
    CHECK(rig.score("queued:" + an_execution) == "2000000000");
    CHECK(rig.score("theirs:" + another_execution) == "2000000000");
    CHECK(rig.server.number({"LLEN", "rq:queue:high:intermediate"}) == 1);
}

TEST_CASE("RQ 3 names the owner in the execution, and only that counts") {
    Rig rig;
    const auto registration = rig.registers("w", "42", "3.0.0");
    rig.runs("other", "ours", an_execution, "w");  // the job's hash is behind
    rig.runs("w", "theirs", another_execution, "other");
    rig.server.ask({"HSET", "rq:job:ours", "status", "queued"});
    rig.server.ask({"SADD", "rq:worker:w:executions", "ours:" + an_execution});
    const auto done = rig.release(Rig::death(registration));
    CHECK(done.handed_back == Strings{"ours"});
    CHECK(rig.score("ours:" + an_execution) == "1");
    CHECK(rig.score("theirs:" + another_execution) == "2000000000");
    CHECK(rig.server.number({"EXISTS", "rq:worker:w:executions"}) == 0);
}

TEST_CASE("a job with two executions in flight is left: RQ runs it twice already") {
    Rig rig;
    const auto registration = rig.registers("w");
    rig.runs("w", "job");
    rig.runs("w", "job", another_execution);
    CHECK(rig.release(Rig::death(registration)).handed_back.empty());
    CHECK(rig.score("job:" + an_execution) == "2000000000");
    CHECK(rig.score("job:" + another_execution) == "2000000000");
}

TEST_CASE("one copy of a job that is handed back is taken out of the intermediate queue") {
    Rig rig;
    const auto registration = rig.registers("w");
    rig.runs("w", "job");
    for (const char* job : {"other", "job", "job"})
        rig.server.ask({"RPUSH", "rq:queue:high:intermediate", job});
    CHECK(rig.release(Rig::death(registration)).handed_back == Strings{"job"});
    const auto left = rig.server.ask({"LRANGE", "rq:queue:high:intermediate", "0", "-1"});
    REQUIRE(left.elements.size() == 2);
    CHECK(left.elements[0].text == "other");
    CHECK(left.elements[1].text == "job");
}

TEST_CASE("RQ 1 keeps bare job ids, also such with colons") {
    Rig rig;
    const auto registration = rig.registers("w", "42", "1.13.0");
    for (const std::string& job : {std::string("job"), std::string("a:b"), "x:" + an_execution}) {
        rig.server.ask({"HSET", "rq:job:" + job, "status", "started", "worker_name", "w"});
        rig.server.ask({"ZADD", "rq:wip:high", "2000000000", job});
    }
    auto done = rig.release(Rig::death(registration));
    std::ranges::sort(done.handed_back);
    CHECK(done.handed_back == Strings{"a:b", "job", "x:" + an_execution});
    for (const auto& job : done.handed_back) CHECK(rig.score(job) == "1");
}

TEST_CASE("an old maintenance lock of RQ up to 1.15 is freed, a young one and a newer RQ's never") {
    struct Case {
        const char* version;
        const char* left;
        bool has_job;
        bool is_freed;
    };
    for (const auto& one : {Case{"1.13.0", "880", true, true}, Case{"1.15.1", "100", true, true},
                            Case{"1.13.0", "895", true, false}, Case{"1.13.0", "880", false, false},
                            Case{"1.16.0", "100", true, false}, Case{"2.3.3", "100", true, false},
                            Case{"3.0.0", "100", true, false}, Case{"", "100", true, false}}) {
        CAPTURE(one.version);
        CAPTURE(one.left);
        Rig rig;
        const auto registration = rig.registers("w", "42", one.version);
        if (one.has_job) rig.runs("w", "job");
        rig.server.ask({"SET", "rq:clean_registries:high", "1", "EX", one.left});
        rig.server.ask({"SET", "rq:clean_registries:low", "1", "EX", one.left});
        rig.release(Rig::death(registration));
        CHECK(rig.server.number({"EXISTS", "rq:clean_registries:high"}) == (one.is_freed ? 0 : 1));
        CHECK(rig.server.number({"EXISTS", "rq:clean_registries:low"}) == 1);
    }
}

TEST_CASE("eight that die at once are released at once, each with its own job") {
    Rig rig;
    std::vector<Release> deaths;
    for (int i = 0; i < 8; ++i) {
        const std::string name = "w" + std::to_string(i);
        deaths.push_back(Rig::death(rig.registers(name, std::to_string(100 + i))));
        rig.runs(name, "job" + std::to_string(i));
    }
    rig.registers("alive", "7");
    rig.runs("alive", "theirs", another_execution);
    std::vector<std::string> handed_back;
    std::size_t answers = 0;
    for (const auto& death : deaths) {
        rig.rq.release(death, [&](const Result<Released>& result) {
            ++answers;
            REQUIRE(result);
            CHECK(result->verdict == Verdict::removed);
            REQUIRE(result->handed_back.size() == 1);
            handed_back.push_back(result->handed_back[0]);
        });
    }
    REQUIRE(run_until(rig.loop, [&] { return answers == 8; }));
    CHECK(handed_back == Strings{"job0", "job1", "job2", "job3", "job4", "job5", "job6", "job7"});
    CHECK(rig.server.number({"SCARD", "rq:workers"}) == 1);
    CHECK(rig.score("theirs:" + another_execution) == "2000000000");
    CHECK(rig.is_registered("alive"));
}

TEST_CASE("a broken keyspace is an error to the caller, and nothing is removed") {
    Rig rig;
    const auto registration = rig.registers("w");
    rig.server.ask({"DEL", "rq:workers"});
    rig.server.ask({"SET", "rq:workers", "not a set"});
    std::optional<Result<Released>> answer;
    rig.rq.release(Rig::death(registration),
                   [&](Result<Released> result) { answer = std::move(result); });
    REQUIRE(run_until(rig.loop, [&] { return answer.has_value(); }));
    REQUIRE_FALSE(*answer);
    CHECK(rig.server.number({"EXISTS", "rq:worker:w"}) == 1);
}

TEST_CASE("the scripts' hashes are those that Redis computes") {
    RedisServer server;
    for (const auto& script : {registry::rq_look, registry::rq_find, registry::rq_release,
                               registry::claim, registry::drop_claim})
        CHECK(server.text({"SCRIPT", "LOAD", std::string(script.body)}) == script.sha1);
}

TEST_CASE("who is busy and who is idle is told in the order of the names") {
    Rig rig;
    for (int i = 0; i < 450; ++i) rig.registers("w" + std::to_string(i));
    rig.server.ask({"HSET", "rq:worker:w300", "state", "idle"});
    std::vector<std::string> names;
    for (int i = 0; i < 450; ++i) names.push_back("w" + std::to_string(i));
    names.emplace_back("nobody");
    std::optional<Result<std::vector<registry::System::Work>>> answer;
    rig.rq.work(names, [&](auto work) { answer = std::move(work); });
    REQUIRE(run_until(rig.loop, [&] { return answer.has_value(); }));
    REQUIRE(answer->ok());
    using Work = registry::System::Work;
    REQUIRE((*answer)->size() == 451);
    CHECK((**answer)[299] == Work::busy);
    CHECK((**answer)[300] == Work::idle);
    CHECK((**answer)[450] == Work::unknown);
    CHECK(std::count((*answer)->begin(), (*answer)->end(), Work::busy) == 449);
}
