// What a release asks for when nobody has seen the worker die, and what becomes of its job.

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>

#include "../redis/rig.h"
#include "registry/rq.h"
#include "registry/rq_result.h"
#include "registry/scripts.h"

using namespace muster;
using namespace std::chrono_literals;
using namespace muster::registry;
using test::RedisServer;
using test::run_until;
using Strings = std::vector<std::string>;
using Verdict = Released::Verdict;

namespace {

const std::string execution = "0123456789abcdef0123456789abcdef";
const std::string birth = "2026-05-16T01:24:49.250000Z";
const std::string key = "rq:worker:w";

struct Rig {
    Rig()
        : client(loop, {.url = server.url()}, {}),
          rq(client, {.hostname = "box", .owner = "us", .prefix = "muster", .is_of_family = {}}) {
        client.start();
        REQUIRE(run_until(loop, [this] { return client.is_connected(); }));
        server.ask({"HSET", key, "pid", "42", "hostname", "box", "birth", birth, "queues", "high",
                    "version", "2.3.3"});
        for (const char* set : {"rq:workers", "rq:workers:high"}) server.ask({"SADD", set, key});
        server.ask(
            {"HSET", "rq:job:job", "status", "started", "worker_name", "w", "retries_left", "2"});
        server.ask({"ZADD", "rq:wip:high", "99999999999", "job:" + execution});
        server.ask({"HSET", "muster:roll:dead", "w", "entry"});
        server.ask({"ZADD", "muster:instances", "1", "dead"});
    }
    static Release death(Proof proof) {
        Release release{.process = ProcessId{1},
                        .incarnation = Incarnation{1},
                        .name = "w",
                        .pid = Pid{42},
                        .hostname = "box",
                        .spawned_at = WallTime{1'778'894'688s},
                        .registration = Registration{.name = "w",
                                                     .pid = "42",
                                                     .hostname = "box",
                                                     .birth = birth,
                                                     .queues = {"high"},
                                                     .version = "2.3.3"}};
        release.proof = proof;
        release.death = "dead/p/1";
        release.reason = "killed by signal 9 (KILL)";
        if (proof != Proof::reaped) release.estate = Estate{"dead", "w", "entry"};
        return release;
    }
    Released release(const Release& release) {
        std::optional<Result<Released>> answer;
        rq.release(release, [&](Result<Released> result) { answer = std::move(result); });
        REQUIRE(run_until(loop, [&] { return answer.has_value(); }));
        REQUIRE(*answer);
        return **answer;
    }
    // Another worker of its queue.
    void colleague(const char* hostname, const char* pid, const char* born) {
        server.ask({"HSET", "rq:worker:other", "pid", pid, "hostname", hostname, "birth", born});
        server.ask({"SADD", "rq:workers:high", "rq:worker:other"});
    }
    // Its key's and its job's time is over, and so is the time between two looks.
    void vanish() {
        server.ask({"DEL", key});
        server.ask({"ZADD", "rq:wip:high", "100", "job:" + execution});
    }
    void age_look() {
        const auto first = std::stoll(server.text({"HGET", "muster:looks:rq", key}));
        server.ask({"HSET", "muster:looks:rq", key, std::to_string(first - 60'000)});
    }
    bool is_untouched() {
        return server.number({"SISMEMBER", "rq:workers", key}) == 1 &&
               server.number({"SISMEMBER", "rq:workers:high", key}) == 1 &&
               server.text({"ZSCORE", "rq:wip:high", "job:" + execution}) != "1" &&
               server.number({"HEXISTS", "muster:roll:dead", "w"}) == 1;
    }
    Presence check(const std::string& heartbeat = "") {
        std::optional<Result<std::vector<Presence>>> answer;
        rq.check({{*death(Proof::reaped).registration, heartbeat}},
                 [&](Result<std::vector<Presence>> result) { answer = std::move(result); });
        REQUIRE(run_until(loop, [&] { return answer.has_value(); }));
        REQUIRE(*answer);
        REQUIRE((*answer)->size() == 1);
        return (**answer)[0];
    }

    RedisServer server;
    loop::Loop loop;
    redis::Client client;
    Rq rq;
};

class Subscriber {  // what a live worker's thread is
public:
    explicit Subscriber(Rig& rig) : client_(rig.loop, {.url = rig.server.url()}, {}) {
        client_.start();
        REQUIRE(run_until(rig.loop, [this] { return client_.is_connected(); }));
        client_.command({"SUBSCRIBE", "rq:pubsub:w"}, [](const Result<redis::Reply>&) {});
        REQUIRE(run_until(rig.loop, [&] {
            return rig.server.ask({"PUBSUB", "NUMSUB", "rq:pubsub:w"}).elements[1].integer == 1;
        }));
    }

private:
    redis::Client client_;
};

}  // namespace

TEST_CASE("what is proved in the same place is released at once, with its entry in the roll") {
    Rig rig;
    const auto done = rig.release(Rig::death(Proof::same_place));
    CHECK(done.verdict == Verdict::removed);
    CHECK(done.handed_back == Strings{"job"});
    CHECK(rig.server.number({"EXISTS", key, "muster:roll:dead"}) == 0);
    CHECK(rig.release(Rig::death(Proof::same_place)).verdict == Verdict::taken);
}

TEST_CASE("an entry that another has settled, or that its instance has changed, is left") {
    Rig rig;
    rig.server.ask({"HSET", "muster:roll:dead", "w", "another life's"});
    CHECK(rig.release(Rig::death(Proof::same_place)).verdict == Verdict::taken);
    CHECK(rig.release(Rig::death(Proof::lease_over)).verdict == Verdict::taken);
    CHECK(rig.is_untouched());
}

TEST_CASE("I4: a subscriber is a veto, whatever else is known") {
    for (const Proof proof : {Proof::same_place, Proof::lease_over}) {
        Rig rig;
        rig.vanish();
        rig.server.ask({"HSET", "muster:looks:rq", key, "1"});
        const Subscriber subscriber(rig);
        const auto done = rig.release(Rig::death(proof));
        CHECK(done.verdict == Verdict::alive);
        CHECK(done.detail == "somebody listens on its channel");
        CHECK(rig.is_untouched());
        CHECK(rig.server.number({"HEXISTS", "muster:looks:rq", key}) == 0);  // looked at anew
    }
}

TEST_CASE("I4: from afar a key that is there, or a job that is refreshed, keeps the worker") {
    Rig rig;
    rig.server.ask({"HSET", "muster:looks:rq", key, "1"});
    auto done = rig.release(Rig::death(Proof::lease_over));
    CHECK(done.verdict == Verdict::alive);
    CHECK(done.detail == "its key is there");
    rig.server.ask({"DEL", key});
    rig.server.ask({"HSET", "muster:looks:rq", key, "1"});
    done = rig.release(Rig::death(Proof::lease_over));
    CHECK(done.verdict == Verdict::alive);
    CHECK(done.detail == "its job job is being refreshed");
    CHECK(rig.is_untouched());
}

TEST_CASE("from afar it takes two looks a minute apart, and a lease that is still over") {
    Rig rig;
    rig.vanish();
    CHECK(rig.release(Rig::death(Proof::lease_over)).verdict == Verdict::looked);
    CHECK(rig.release(Rig::death(Proof::lease_over)).verdict == Verdict::looked);
    CHECK(rig.is_untouched());
    rig.age_look();
    rig.server.ask({"ZADD", "muster:instances", "99999999999999", "dead"});
    CHECK(rig.release(Rig::death(Proof::lease_over)).verdict == Verdict::taken);
    CHECK(rig.is_untouched());
    rig.server.ask({"ZADD", "muster:instances", "1", "dead"});
    CHECK(rig.release(Rig::death(Proof::lease_over)).verdict == Verdict::looked);
    rig.age_look();
    const auto done = rig.release(Rig::death(Proof::lease_over));
    CHECK(done.verdict == Verdict::removed);
    CHECK(done.handed_back == Strings{"job"});
    CHECK(rig.server.number({"EXISTS", "rq:workers", "rq:workers:high", "muster:roll:dead",
                             "muster:looks:rq"}) == 0);
}

TEST_CASE("a fixed name that another life has by now is not touched, and no more settled") {
    Rig rig;
    rig.server.ask({"HSET", key, "pid", "77"});
    for (const Proof proof : {Proof::same_place, Proof::lease_over}) {
        rig.server.ask({"HSET", "muster:looks:rq", key, "1"});
        CHECK(rig.release(Rig::death(proof)).verdict == Verdict::mismatch);
        CHECK(rig.is_untouched());
    }
}

TEST_CASE("a settlement drops the claim of the dead instance, and nobody else's") {
    Rig rig;
    rig.server.ask({"SET", "muster:claim:w", "dead/7"});
    rig.release(Rig::death(Proof::same_place));
    CHECK(rig.server.number({"EXISTS", "muster:claim:w"}) == 0);
    rig.server.ask({"HSET", "muster:roll:dead", "w", "entry"});
    rig.server.ask({"SET", "muster:claim:w", "deadly/7"});
    rig.release(Rig::death(Proof::same_place));
    CHECK(rig.server.number({"EXISTS", "muster:claim:w"}) == 1);
}

TEST_CASE("I6: a job that is to fail loses its retries, and its results say why") {
    Rig rig;
    auto death = Rig::death(Proof::reaped);
    death.jobs = core::Jobs::fail;
    const auto done = rig.release(death);
    CHECK(done.handed_back.empty());
    CHECK(done.failed == Strings{"job"});
    CHECK(rig.server.text({"HGET", "rq:job:job", "retries_left"}) == "0");
    CHECK(rig.server.text({"ZSCORE", "rq:wip:high", "job:" + execution}) == "1");
    const auto results = rig.server.ask({"XRANGE", "rq:results:job", "-", "+"});
    REQUIRE(results.elements.size() == 1);
    const auto& fields = results.elements[0].elements[1].elements;
    REQUIRE(fields.size() == 4);
    CHECK(fields[1].text == "2");
    CHECK(
        fields[3].text ==
        as_exc_string("muster: the worker w (pid 42 on box) died with this job in hand: killed by "
                      "signal 9 (KILL); failed by jobs = \"fail\""));
}

TEST_CASE("deaths with the same job in hand are counted over instances, each once") {
    Rig rig;
    const auto dies = [&](const std::string& which) {
        rig.server.ask({"ZADD", "rq:wip:high", "99999999999", "job:" + execution});
        auto death = Rig::death(Proof::reaped);
        death.poison = {.deaths = 3, .within = 1h};
        death.death = which;
        return rig.release(death);
    };
    CHECK(dies("one/p/1").handed_back == Strings{"job"});
    CHECK(dies("one/p/1").handed_back == Strings{"job"});  // told again
    CHECK(dies("two/p/1").handed_back == Strings{"job"});
    rig.server.ask({"ZADD", "muster:deaths:rq:job", "1", "one/p/1"});  // long ago
    CHECK(dies("two/p/2").handed_back == Strings{"job"});
    const auto done = dies("three/p/1");
    CHECK(done.failed == Strings{"job"});
    CHECK(done.detail == "job is poison: it was in hand at 3 deaths");
    CHECK(rig.server.text({"HGET", "rq:job:job", "retries_left"}) == "0");
    CHECK(rig.server.number({"PTTL", "muster:deaths:rq:job"}) > 3'500'000);
}

TEST_CASE("a scheduler's lock is freed when it is the dead worker's and is not refreshed") {
    struct Case {
        const char* holder;
        const char* left;
        bool is_freed;
    };
    for (const Case& one :
         {Case{"42", "50", true}, Case{"42", "60", false}, Case{"43", "50", false},
          Case{"ours", "50", true}, Case{"older", "50", false}, Case{"elsewhere", "50", false}}) {
        CAPTURE(one.holder);
        Rig rig;
        rig.colleague("box", "42", "2026-05-16T01:24:49.500000Z");
        rig.server.ask({"HSET", "rq:scheduler:ours", "hostname", "box", "created_at",
                        "2026-05-16T01:24:50.000000Z"});
        rig.server.ask({"HSET", "rq:scheduler:older", "hostname", "box", "created_at",
                        "2026-05-16T01:24:48.000000Z"});
        rig.server.ask({"HSET", "rq:scheduler:elsewhere", "hostname", "other", "created_at",
                        "2026-05-16T01:24:50.000000Z"});
        rig.server.ask({"SET", "rq:scheduler-lock:high", one.holder, "EX", one.left});
        rig.release(Rig::death(Proof::reaped));
        CHECK(rig.server.number({"EXISTS", "rq:scheduler-lock:high"}) == (one.is_freed ? 0 : 1));
    }
}

TEST_CASE(
    "a scheduler's fresh lock is freed where we reaped its worker and nobody else can have it") {
    const auto is_freed = [](Rig& rig, const char* holder, Proof proof = Proof::reaped) {
        rig.server.ask({"HSET", "rq:scheduler:ours", "hostname", "box", "created_at",
                        "2026-05-16T01:24:50.000000Z"});
        rig.server.ask({"SET", "rq:scheduler-lock:high", holder, "EX", "61"});
        rig.release(Rig::death(proof));
        return rig.server.number({"EXISTS", "rq:scheduler-lock:high"}) == 0;
    };
    const auto before = "2026-05-16T01:24:49.500000Z";  // the scheduler was made
    const auto after = "2026-05-16T01:24:50.500000Z";
    for (const char* holder : {"42", "ours"}) {
        CAPTURE(holder);
        const bool is_pid = holder == std::string("42");
        const auto beside = [&](const char* host, const char* pid, const char* born) {
            Rig rig;
            rig.colleague(host, pid, born);
            return is_freed(rig, holder);
        };
        Rig alone;
        CHECK(is_freed(alone, holder));
        Rig not_reaped;
        CHECK(!is_freed(not_reaped, holder, Proof::same_place));
        CHECK(beside("box", "43", after));
        CHECK(beside("box", "43", before) == is_pid);
        CHECK(beside("elsewhere", "43", before) == !is_pid);
        CHECK(beside("box", "42", before) == false);
        Rig unknown;
        unknown.server.ask({"SADD", "rq:workers:high", "rq:worker:expired"});
        CHECK(!is_freed(unknown, holder));
    }
    Rig not_ours;
    CHECK(!is_freed(not_ours, "43"));
}

TEST_CASE("a live worker that fell out of the registry is put back whole") {
    Rig rig;
    CHECK(rig.check().state == Presence::State::here);
    rig.server.ask({"SREM", "rq:workers:high", key});
    CHECK(rig.check().state == Presence::State::put_back);
    CHECK(rig.check().state == Presence::State::here);
    rig.server.ask({"FLUSHALL"});
    const auto seen = rig.check("2026-05-16T01:30:00.000000Z");
    CHECK(seen.state == Presence::State::put_back);
    CHECK(seen.heartbeat == "2026-05-16T01:30:00.000000Z");  // no heartbeat is made up
    CHECK(rig.server.text({"HGET", key, "pid"}) == "42");
    CHECK(rig.server.text({"HGET", key, "birth"}) == birth);
    CHECK(rig.server.text({"HGET", key, "state"}) == "idle");
    CHECK(rig.server.number({"TTL", key}) > 400);
    CHECK(rig.server.number({"SISMEMBER", "rq:workers", key}) == 1);
    CHECK(rig.server.number({"SISMEMBER", "rq:workers:high", key}) == 1);
    rig.server.ask({"DEL", key});  // as a heartbeat of RQ 2.3 makes it anew
    rig.server.ask({"HSET", key, "last_heartbeat", "2026-05-16T01:31:00.000000Z"});
    CHECK(rig.check().state == Presence::State::put_back);
    CHECK(rig.server.text({"HGET", key, "last_heartbeat"}) == "2026-05-16T01:31:00.000000Z");
    CHECK(rig.server.number({"TTL", key}) > 400);
}

TEST_CASE("another's name is not put back, nor is a worker that ended in order") {
    Rig rig;
    rig.server.ask({"SREM", "rq:workers", key});
    rig.server.ask({"HSET", key, "pid", "77"});
    CHECK(rig.check().state == Presence::State::foreign);
    rig.server.ask({"HSET", key, "pid", "42", "death", birth});
    CHECK(rig.check().state == Presence::State::ended);
    CHECK(rig.server.number({"SISMEMBER", "rq:workers", key}) == 0);
}

TEST_CASE("a check tells what a busy worker has in hand, and how long it may take") {
    Rig rig;
    rig.server.ask({"HSET", key, "state", "busy", "current_job", "job"});
    rig.server.ask({"HSET", "rq:job:job", "timeout", "180"});
    auto seen = rig.check();
    CHECK(seen.status == "busy");
    CHECK(seen.job == "job");
    CHECK(seen.job_timeout == 180s);
    rig.server.ask({"HSET", "rq:job:job", "timeout", "-1"});
    CHECK_FALSE(rig.check().job_timeout);
    rig.server.ask({"HDEL", key, "current_job"});
    rig.server.ask({"SADD", key + ":executions", "job:" + execution});  // RQ 3
    CHECK(rig.check().job == "job");
}

TEST_CASE("a worker between its birth and its first state starts: it is not unknown what it does") {
    Rig rig;
    rig.server.ask({"HDEL", key, "state"});
    CHECK(rig.check().status == "started");
    rig.server.ask({"HSET", key, "current_job", "job"});
    CHECK(rig.check().status.empty());  // a job in hand: nothing is made up
    rig.server.ask({"HDEL", key, "current_job", "birth"});
    CHECK(rig.check().status.empty());  // put back this moment
    CHECK(rig.check().status == "idle");
}

TEST_CASE("what a horse is waited for with is refreshed, while the worker's key is its own") {
    Rig rig;
    rig.vanish();
    rig.rq.keep(*Rig::death(Proof::reaped).registration);
    const auto settled = [&] { return rig.client.open_commands() == 0; };
    REQUIRE(run_until(rig.loop, settled));
    CHECK(rig.server.text({"ZSCORE", "rq:wip:high", "job:" + execution}) == "100");
    rig.server.ask({"HSET", key, "pid", "42", "hostname", "box", "birth", birth});
    rig.server.ask({"EXPIRE", key, "20"});
    rig.rq.keep(*Rig::death(Proof::reaped).registration);
    REQUIRE(run_until(rig.loop, settled));
    CHECK(std::stoll(rig.server.text({"ZSCORE", "rq:wip:high", "job:" + execution})) > 1'000'000);
    CHECK(rig.server.number({"TTL", key}) > 80);
}

TEST_CASE("the roll's and the settlement's scripts have the hashes that Redis computes") {
    RedisServer server;
    for (const auto& script :
         {rq_check, rq_keep, roll_renew, roll_leave, roll_instances, settle_begin, settle_end})
        CHECK(server.text({"SCRIPT", "LOAD", std::string(script.body)}) == script.sha1);
}
