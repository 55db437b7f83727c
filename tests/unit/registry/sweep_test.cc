#include "registry/sweep.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "../redis/rig.h"

using namespace muster;
using namespace std::chrono_literals;
using registry::Fate;
using registry::MemberSets;
using registry::RegistryKind;
using registry::Stale;
using registry::Sweep;
using registry::SweepOptions;
using registry::SweepReport;
using test::RedisServer;
using test::run_until;
using Strings = std::vector<std::string>;

namespace {

// A minute is the contract's; here two looks are this far apart.
constexpr Duration apart = 60ms;

struct Rig {
    explicit Rig(std::vector<std::string> server_options = {}) : server(std::move(server_options)) {
        client = connected();
    }

    std::unique_ptr<redis::Client> connected(redis::Url url = {}) {
        if (url.shown.empty()) url = server.url();
        auto made = std::make_unique<redis::Client>(
            loop, redis::ClientOptions{.url = std::move(url)}, redis::Client::Changed{});
        made->start();
        REQUIRE(run_until(loop, [&] { return made->is_connected(); }));
        return made;
    }

    void registers(const std::string& name, const Strings& queues = {"high", "low"}) {
        server.ask({"HSET", "rq:worker:" + name, "pid", "42", "birth", "2026-05-16T01:24:49Z"});
        is_member(name, queues);
        for (const auto& queue : queues) server.ask({"SADD", "rq:queues", "rq:queue:" + queue});
    }
    // Nothing but its entries is left.
    void is_member(const std::string& name, const Strings& queues = {"high", "low"}) {
        server.ask({"SADD", "rq:workers", "rq:worker:" + name});
        for (const auto& queue : queues)
            server.ask({"SADD", "rq:workers:" + queue, "rq:worker:" + name});
    }
    std::set<std::string> members(const std::string& set = "rq:workers") {
        std::set<std::string> found;
        for (const auto& member : server.ask({"SMEMBERS", set}).elements) {
            std::string name = member.text;
            if (name.starts_with("rq:worker:")) name.erase(0, 10);
            found.insert(std::move(name));
        }
        return found;
    }
    std::set<std::string> keys() {
        std::set<std::string> found;
        for (const auto& key : server.ask({"KEYS", "*"}).elements) found.insert(key.text);
        return found;
    }
    // All first looks were so much earlier.
    void looks_were_earlier(Duration by = 10s, const std::string& kind = "rq") {
        const auto looks = server.ask({"HGETALL", "muster:looks:" + kind}).elements;
        for (std::size_t i = 0; i + 1 < looks.size(); i += 2) {
            const auto earlier = std::stoll(looks[i + 1].text) -
                                 std::chrono::duration_cast<std::chrono::milliseconds>(by).count();
            server.ask({"HSET", "muster:looks:" + kind, looks[i].text, std::to_string(earlier)});
        }
    }

    SweepOptions options() {
        SweepOptions made;
        made.owner = "us";
        made.apart = apart;
        made.interval = 0s;
        return made;
    }
    std::unique_ptr<Sweep> sweep(SweepOptions made, registry::SweepEvents events = {}) {
        return std::make_unique<Sweep>(loop, *client,
                                       std::vector{*registry::member_sets(RegistryKind::rq)},
                                       std::move(made), std::move(events));
    }
    std::unique_ptr<Sweep> sweep() { return sweep(options()); }

    Result<SweepReport> tried(Sweep& sweep, bool applies) {
        stale.clear();
        std::optional<Result<SweepReport>> answer;
        sweep.run(
            applies, [this](const Stale& one) { stale[one.name] = one; },
            [&](Result<SweepReport> report) { answer = std::move(report); });
        REQUIRE_FALSE(answer);
        REQUIRE(run_until(loop, [&] { return answer.has_value(); }));
        return *answer;
    }
    SweepReport run(Sweep& sweep, bool applies) {
        const auto report = tried(sweep, applies);
        REQUIRE_MESSAGE(report.ok(), (report ? "" : report.error().message()));
        return *report;
    }

    RedisServer server;
    loop::Loop loop;
    std::unique_ptr<redis::Client> client;
    std::map<std::string, Stale> stale;  // of the last sweep
};

using Names = std::set<std::string>;

}  // namespace

TEST_CASE("a member without its key goes at the second look, from all sets; the living stay") {
    Rig rig;
    rig.registers("lives");
    rig.is_member("gone");
    auto sweep = rig.sweep();

    auto report = rig.run(*sweep, true);
    CHECK(report.stale == 1);
    CHECK(report.waiting == 1);
    CHECK(report.next_due > 0s);
    CHECK(rig.stale.at("gone").fate == Fate::waiting);
    CHECK(rig.members() == Names{"gone", "lives"});

    rig.looks_were_earlier();
    report = rig.run(*sweep, true);
    CHECK(report.removed == 1);
    CHECK(rig.stale.at("gone").fate == Fate::removed);
    for (const char* set : {"rq:workers", "rq:workers:high", "rq:workers:low"})
        CHECK(rig.members(set) == Names{"lives"});
    CHECK_FALSE(rig.keys().contains("muster:looks:rq"));
    CHECK(rig.run(*sweep, true).stale == 0);
}

TEST_CASE("I4: before the second look is due nothing goes, however often it is looked") {
    Rig rig;
    rig.is_member("gone");
    auto options = rig.options();
    options.apart = 60s;
    auto sweep = rig.sweep(options);
    for (int i = 0; i < 3; ++i) CHECK(rig.run(*sweep, true).waiting == 1);
    rig.looks_were_earlier(58s);
    CHECK(rig.run(*sweep, true).waiting == 1);
    CHECK(rig.members() == Names{"gone"});
    rig.looks_were_earlier(2s);
    CHECK(rig.run(*sweep, true).removed == 1);
}

TEST_CASE("I4: a key that is there again makes the first look forgotten") {
    Rig rig;
    rig.is_member("stopped");
    auto sweep = rig.sweep();
    rig.run(*sweep, true);
    rig.looks_were_earlier();
    rig.registers("stopped");
    CHECK(rig.run(*sweep, true).stale == 0);
    rig.server.ask({"DEL", "rq:worker:stopped"});
    CHECK(rig.run(*sweep, true).waiting == 1);  // the first look again
    CHECK(rig.members() == Names{"stopped"});
}

TEST_CASE("a dry sweep writes looks and nothing else, and says what would go") {
    Rig rig;
    rig.registers("lives");
    rig.is_member("gone");
    auto sweep = rig.sweep();
    auto before = rig.keys();
    auto report = rig.run(*sweep, false);
    CHECK(report.waiting == 1);
    before.insert("muster:looks:rq");
    CHECK(rig.keys() == before);
    rig.looks_were_earlier();
    report = rig.run(*sweep, false);
    CHECK(report.due == 1);
    CHECK(report.removed == 0);
    CHECK(rig.stale.at("gone").fate == Fate::due);
    CHECK(rig.members() == Names{"gone", "lives"});
    CHECK(rig.keys() == before);
    CHECK(rig.run(*sweep, true).removed == 1);  // its looks count for an applied one
}

TEST_CASE("I4: subscribers, named connections and live rolls veto") {
    Rig rig;
    for (const char* name : {"listens", "named", "rolled", "chosen", "ours", "gone"})
        rig.is_member(name);
    const auto subscriber = rig.connected();
    subscriber->command({"SUBSCRIBE", "rq:pubsub:listens"}, [](const Result<redis::Reply>&) {});
    const auto named = rig.connected();
    named->command({"CLIENT", "SETNAME", "named"}, [](const Result<redis::Reply>&) {});
    rig.server.ask({"ZADD", "muster:instances", "99999999999999", "box-1"});
    rig.server.ask({"HSET", "muster:roll:box-1", "rolled", R"({"kind":"rq","process":"shap_00"})",
                    "given", R"({"kind":"rq","name":"chosen","process":"shap_01"})", "broken",
                    "{"});
    rig.server.ask({"ZADD", "muster:instances", "1", "box-2"});
    rig.server.ask({"HSET", "muster:roll:box-2", "gone", R"({"process":"shap_00"})"});
    auto options = rig.options();
    options.ours = [] { return std::unordered_set<std::string>{"ours"}; };
    auto sweep = rig.sweep(options);
    rig.run(*sweep, true);
    rig.looks_were_earlier();
    const auto report = rig.run(*sweep, true);
    CHECK(report.left == 5);
    CHECK(report.removed == 1);
    CHECK(rig.members() == Names{"listens", "named", "rolled", "chosen", "ours"});
    CHECK(rig.stale.at("listens").why == "somebody listens on its channel");
    CHECK(rig.stale.at("named").why == "a connection bears its name");
    CHECK(rig.stale.at("rolled").why == "its supervisor box-1 holds a lease");
    CHECK(rig.stale.at("ours").why == "it is our own and lives");
}

TEST_CASE("a queue's set of its own is swept, also of a queue that nothing else names") {
    Rig rig;
    rig.server.ask({"SADD", "rq:workers:unnamed", "rq:worker:orphan"});
    rig.registers("lives", {"unnamed"});
    rig.server.ask({"DEL", "rq:queues"});
    auto sweep = rig.sweep();
    rig.run(*sweep, true);
    CHECK(rig.stale.at("orphan").set == "rq:workers:unnamed");
    rig.looks_were_earlier();
    CHECK(rig.run(*sweep, true).removed == 1);
    CHECK(rig.members("rq:workers:unnamed") == Names{"lives"});
}

TEST_CASE("the search for sets goes on where the last sweep stopped") {
    Rig rig;
    for (int i = 0; i < 6000; ++i) rig.server.ask({"SET", "other:" + std::to_string(i), ""});
    rig.server.ask({"SADD", "rq:workers:unnamed", "rq:worker:orphan"});
    auto options = rig.options();
    options.keys_searched = 1000;
    auto sweep = rig.sweep(options);
    std::uint64_t found = 0;
    for (int i = 0; i < 9 && found == 0; ++i) found = rig.run(*sweep, false).stale;
    CHECK(found == 1);
}

TEST_CASE("what is no worker's key, or no set, is left as it is") {
    Rig rig;
    rig.server.ask({"SADD", "rq:workers", "nonsense", "rq:worker:gone"});
    rig.server.ask({"SET", "rq:workers:text", "not a set"});
    rig.server.ask({"SADD", "rq:queues", "rq:queue:text", "not a queue"});
    auto sweep = rig.sweep();
    rig.run(*sweep, true);
    rig.looks_were_earlier();
    CHECK(rig.run(*sweep, true).removed == 1);
    CHECK(rig.members() == Names{"nonsense"});
    CHECK(rig.server.text({"GET", "rq:workers:text"}) == "not a set");
}

TEST_CASE("more members than a page holds are all seen, and all stale ones go") {
    Rig rig;
    std::vector<std::string> argv{"SADD", "rq:workers"};
    for (int i = 0; i < 2300; ++i) argv.push_back("rq:worker:gone" + std::to_string(i));
    auto of_queue = argv;
    of_queue[1] = "rq:workers:high";
    rig.server.ask(argv);
    rig.server.ask(of_queue);
    rig.registers("lives");
    auto sweep = rig.sweep();
    CHECK(rig.run(*sweep, true).waiting == 2300);
    REQUIRE(
        run_until(rig.loop, [&, end = rig.loop.now() + apart] { return rig.loop.now() > end; }));
    CHECK(rig.run(*sweep, true).removed == 2300);
    CHECK(rig.members() == Names{"lives"});
    CHECK(rig.members("rq:workers:high") == Names{"lives"});
}

TEST_CASE("an old look at a member that has left all sets is forgotten, a young one is kept") {
    Rig rig;
    rig.is_member("cleaned-by-rq");
    auto sweep = rig.sweep();
    rig.run(*sweep, true);
    rig.server.ask({"DEL", "rq:workers", "rq:workers:high", "rq:workers:low"});
    rig.run(*sweep, true);
    CHECK(rig.server.number({"HLEN", "muster:looks:rq"}) == 1);
    rig.looks_were_earlier(10min);
    rig.run(*sweep, true);
    CHECK(rig.server.number({"HLEN", "muster:looks:rq"}) == 0);
}

TEST_CASE("Sidekiq's set is its own: members are keys as they are, and nothing vetoes") {
    Rig rig;
    rig.server.ask({"SADD", "processes", "box:1:aa", "box:2:bb"});
    rig.server.ask({"HSET", "box:1:aa", "beat", "1"});
    Sweep sweep(rig.loop, *rig.client, {*registry::member_sets(RegistryKind::sidekiq)},
                rig.options(), {});
    CHECK(rig.run(sweep, true).waiting == 1);
    rig.looks_were_earlier(10s, "sidekiq");
    CHECK(rig.run(sweep, true).removed == 1);
    CHECK(rig.members("processes") == Names{"box:1:aa"});
}

TEST_CASE("an applied sweep waits for nobody: while another is at it, it says who") {
    Rig rig;
    rig.server.ask({"SET", "muster:sweeper", "box-9"});
    auto sweep = rig.sweep();
    const auto report = rig.tried(*sweep, true);
    REQUIRE_FALSE(report);
    CHECK(report.error().message().find("box-9") != std::string::npos);
    CHECK(rig.tried(*sweep, false).ok());
    rig.server.ask({"DEL", "muster:sweeper"});
    CHECK(rig.tried(*sweep, true).ok());
    CHECK_FALSE(rig.keys().contains("muster:sweeper"));
    CHECK_FALSE(sweep->is_sweeping());
}

TEST_CASE("a sweeper that loses its lease stops, and removes nothing more") {
    Rig rig;
    rig.is_member("gone");
    auto sweep = rig.sweep();
    rig.run(*sweep, true);
    rig.looks_were_earlier();
    bool is_first = true;
    auto options = rig.options();
    options.may_decide = [&]() -> Outcome {
        if (is_first) rig.server.ask({"SET", "muster:sweeper", "another"});
        is_first = false;
        return Done{};
    };
    auto robbed = rig.sweep(options);
    const auto report = rig.tried(*robbed, true);
    REQUIRE_FALSE(report);
    CHECK(report.error().message().find("lease") != std::string::npos);
    CHECK(rig.members() == Names{"gone"});
    CHECK(rig.server.text({"GET", "muster:sweeper"}) == "another");
}

TEST_CASE("where nothing may be decided nothing is looked at") {
    Rig rig;
    rig.is_member("gone");
    auto options = rig.options();
    options.may_decide = []() -> Outcome { return Error{"this is a replica"}; };
    auto sweep = rig.sweep(options);
    for (const bool applies : {false, true}) {
        const auto report = rig.tried(*sweep, applies);
        REQUIRE_FALSE(report);
        CHECK(report.error().message().find("this is a replica") != std::string::npos);
    }
    CHECK_FALSE(rig.keys().contains("muster:looks:rq"));
    CHECK_FALSE(rig.keys().contains("muster:sweeper"));
}

TEST_CASE("on the interval five instances do the work of one") {
    Rig rig;
    for (int i = 0; i < 1200; ++i) rig.is_member("gone" + std::to_string(i));
    std::vector<std::unique_ptr<redis::Client>> clients;
    std::vector<std::unique_ptr<Sweep>> sweeps;
    std::map<std::string, int> removed;
    int whole = 0;
    for (int i = 0; i < 5; ++i) {
        clients.push_back(rig.connected());
        auto options = rig.options();
        options.owner = "box-" + std::to_string(i);
        options.interval = 400ms;
        sweeps.push_back(std::make_unique<Sweep>(
            rig.loop, *clients.back(), std::vector{*registry::member_sets(RegistryKind::rq)},
            options,
            registry::SweepEvents{.swept = [&](const SweepReport&) { ++whole; },
                                  .removed = [&](const Stale& stale) { ++removed[stale.name]; },
                                  .could_not = [](const Error& error) { FAIL(error.message()); },
                                  .is_blind = {}}));
        sweeps.back()->start();
    }
    REQUIRE(run_until(rig.loop, [&] { return removed.size() == 1200; }));
    CHECK(std::ranges::all_of(removed, [](const auto& one) { return one.second == 1; }));
    CHECK(rig.members().empty());
    const int before = whole;
    const TimePoint end = rig.loop.now() + 1500ms;
    REQUIRE(run_until(rig.loop, [&] { return rig.loop.now() > end; }));
    CHECK(whole > before);
    CHECK(whole - before <= 5);  // 1500 ms of 360 ms each, not five times as many
}

TEST_CASE("without PUBSUB nothing is removed, and that is said once") {
    Rig rig;
    rig.is_member("gone");
    rig.server.ask({"ACL", "SETUSER", "blind", "on", ">secret", "~*", "+@all", "-pubsub"});
    auto url = rig.server.url();
    url.username = "blind";
    url.password = "secret";
    rig.client = rig.connected(url);
    Strings blind;
    auto sweep = rig.sweep(
        rig.options(),
        {.swept = {}, .removed = {}, .could_not = {}, .is_blind = [&](const std::string& why) {
             blind.push_back(why);
         }});
    for (int i = 0; i < 3; ++i) {
        CHECK(rig.run(*sweep, true).left == 1);
        rig.looks_were_earlier();
    }
    CHECK(rig.members() == Names{"gone"});
    CHECK(blind.size() == 1);
}

TEST_CASE("a Redis that goes away in the middle ends the sweep, and that is told") {
    Rig rig;
    rig.is_member("gone");
    Strings told;
    auto options = rig.options();
    options.interval = 50ms;
    auto sweep =
        rig.sweep(options, {.swept = {},
                            .removed = {},
                            .could_not = [&](const Error& why) { told.push_back(why.message()); },
                            .is_blind = {}});
    rig.server.stop();
    CHECK_FALSE(rig.tried(*sweep, true));
    CHECK_FALSE(rig.tried(*sweep, false));
    CHECK(told.size() >= 1);
    CHECK_FALSE(sweep->is_sweeping());
}

TEST_CASE("a look that somebody wrote as no number is no look: nothing goes by it") {
    Rig rig;
    rig.is_member("gone");
    rig.server.ask({"HSET", "muster:looks:rq", "rq:worker:gone", "nonsense"});
    rig.server.ask({"ZADD", "muster:instances", "1e300", "box-1"});
    auto sweep = rig.sweep();
    CHECK(rig.run(*sweep, true).waiting == 1);
    CHECK(rig.members() == Names{"gone"});
}
