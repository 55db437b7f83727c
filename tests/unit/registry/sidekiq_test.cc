#include "registry/sidekiq.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "rig.h"

using namespace muster;
using namespace std::chrono_literals;
using registry::Registration;
using registry::RegistryKind;
using Verdict = registry::Released::Verdict;
using test::spawn_time;

namespace {

const std::string a_start = "1778894689.2503451";

struct Rig : test::SystemRig {
    explicit Rig(registry::SystemOptions options = our_options())
        : SystemRig(RegistryKind::sidekiq, std::move(options)) {}

    // What Sidekiq writes with each beat.
    Registration beats(const std::string& pid,
                       const std::string& nonce,
                       const std::string& hostname = "box",
                       const std::string& started = a_start) {
        const std::string id = fmt::format("{}:{}:{}", hostname, pid, nonce);
        server.ask({"SADD", "processes", id});
        server.ask(
            {"HSET", id, "info",
             fmt::format(
                 R"({{"hostname":"{}","started_at":{},"pid":{},"tag":"x \"pid\":7","concurrency":)"
                 R"(5,"queues":["high","low"],"labels":[],"identity":"{}","version":"7.2.4"}})",
                 hostname, started, pid, id),
             "busy", "0", "beat", "1778894700.1", "quiet", "false"});
        server.ask({"EXPIRE", id, "60"});
        return {.name = id,
                .pid = pid,
                .hostname = hostname,
                .birth = started,
                .queues = {"high", "low"},
                .version = "7.2.4"};
    }
    bool is_there(const std::string& id) {
        return server.number({"EXISTS", id, id + ":work", id + ":workers"}) > 0 ||
               server.number({"SISMEMBER", "processes", id}) == 1;
    }
};

}  // namespace

TEST_CASE("Sidekiq: a process is found by host, pid and start, among many") {
    Rig rig;
    for (int i = 0; i < 1500; ++i) rig.beats(std::to_string(10'000 + i), "aaaaaaaaaaaa");
    const auto ours = rig.beats("42", "0123456789ab");
    rig.beats("42", "fedcba987654", "elsewhere");
    rig.beats("42", "bbbbbbbbbbbb", "box", "1778894000.5");  // before the spawn: an earlier life
    rig.server.ask({"SADD", "processes", "box:42:gone", "box:42:wrong"});
    rig.server.ask({"SET", "box:42:wrong", "no hash"});
    const auto found = rig.look({rig.sought(42), rig.sought(43), rig.sought(10'007)});
    CHECK(found[0] == ours);
    CHECK_FALSE(found[1]);
    CHECK(found[2]->name == "box:10007:aaaaaaaaaaaa");
    CHECK(rig.look({}).empty());
}

TEST_CASE(
    "Sidekiq: where two processes fit, as in containers of one hostname, none is taken (I4)") {
    Rig rig;
    rig.beats("42", "0123456789ab");
    rig.beats("42", "fedcba987654");
    CHECK_FALSE(rig.look({rig.sought()})[0]);
    const auto before = rig.everything();
    CHECK(rig.release(rig.death()).verdict == Verdict::nothing_there);
    CHECK(rig.everything() == before);
}

TEST_CASE("Sidekiq: $DYNO is its hostname: muster's own, or the name that it was given") {
    auto options = Rig::our_options();
    options.dyno = "worker.1";
    Rig rig(options);
    const auto heroku = rig.beats("42", "0123456789ab", "worker.1");
    const auto named = rig.beats("43", "0123456789ab", "mail-box-43");
    const auto found = rig.look({rig.sought(42), rig.sought(43, "mail-box-43"), rig.sought(43)});
    CHECK(found[0] == heroku);
    CHECK(found[1] == named);
}

TEST_CASE("Sidekiq: a wrapper's child is found through the family") {
    auto options = Rig::our_options();
    options.is_of_family = [](Pid registered, const registry::Sought& whose) {
        return registered == Pid{43} && whose.pid == Pid{42};
    };
    Rig rig(options);
    rig.beats("44", "aaaaaaaaaaaa");
    const auto child = rig.beats("43", "0123456789ab");
    const auto found = rig.look({rig.sought(41), rig.sought(42)});
    CHECK_FALSE(found[0]);
    CHECK(found[1] == child);
    CHECK_FALSE(rig.look({rig.sought(42), rig.sought(43)})[0]);  // it is a process of its own
}

TEST_CASE("Sidekiq: a dead process's entries go, and nobody else's (I4, I5)") {
    Rig rig;
    const auto dead = rig.beats("42", "0123456789ab");
    rig.beats("43", "aaaaaaaaaaaa");
    rig.beats("42", "fedcba987654", "elsewhere");
    rig.server.ask({"DEL", dead.name});
    rig.server.ask({"SREM", "processes", dead.name});
    const auto without = rig.everything();
    for (const char* hash : {":workers", ":work"}) {  // 6.4, and 6.5 and later
        rig.beats("42", "0123456789ab");
        rig.server.ask({"HSET", dead.name + hash, "t1", "{}", "t2", "{}"});
        const auto done = rig.release(rig.death(dead));
        CHECK(done.verdict == Verdict::removed);
        CHECK(done.detail ==
              "it had 2 job(s) in hand at its last beat, which plain Sidekiq does not get back");
        CHECK(rig.everything() == without);
    }
    CHECK(rig.release(rig.death(dead)).verdict == Verdict::nothing_there);  // safe to repeat
}

TEST_CASE("Sidekiq: a process that died before it was seen is found and removed all the same") {
    Rig rig;
    const auto dead = rig.beats("42", "0123456789ab");
    CHECK(rig.release(rig.death()).verdict == Verdict::removed);
    CHECK_FALSE(rig.is_there(dead.name));
}

TEST_CASE("Sidekiq: an expired hash leaves a set entry, an orderly end a hash: both go") {
    Rig rig;
    const auto dead = rig.beats("42", "0123456789ab");
    rig.server.ask({"DEL", dead.name});
    CHECK(rig.release(rig.death(dead)).verdict == Verdict::removed);
    CHECK_FALSE(rig.is_there(dead.name));
    rig.beats("42", "0123456789ab");
    rig.server.ask({"SREM", "processes", dead.name});
    const auto done = rig.release(rig.death(dead));
    CHECK(done.verdict == Verdict::removed);
    CHECK(done.detail == "it had ended in order");
    CHECK_FALSE(rig.is_there(dead.name));
}

TEST_CASE("Sidekiq: whatever differs is not touched (I4)") {
    Rig rig;
    const auto live = rig.beats("42", "0123456789ab");
    rig.server.ask({"HSET", live.name + ":work", "t1", "{}"});
    const auto before = rig.everything();
    auto other = live;
    other.pid = "43";
    CHECK(rig.release(rig.death(other)).verdict == Verdict::mismatch);
    other = live;
    other.hostname = "elsewhere";
    CHECK(rig.release(rig.death(other)).verdict == Verdict::mismatch);
    other = live;
    other.birth = "1778894689.2503452";
    const auto done = rig.release(rig.death(other));
    CHECK(done.verdict == Verdict::mismatch);
    CHECK(done.detail == "held by pid 42 on box since " + a_start);
    CHECK(rig.everything() == before);
    rig.server.ask({"DEL", live.name});
    rig.server.ask({"SET", live.name, "no hash"});
    CHECK(rig.release(rig.death(live)).verdict == Verdict::mismatch);
}
