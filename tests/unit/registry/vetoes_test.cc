#include "registry/vetoes.h"

#include <doctest/doctest.h>

#include <optional>

#include "../redis/rig.h"

using namespace muster;
using namespace std::chrono_literals;
using registry::Veto;
using registry::Vetoes;
using test::RedisServer;
using test::run_until;
using Strings = std::vector<std::string>;

namespace {

struct Rig {
    explicit Rig(const std::string& user = "") {
        auto url = server.url();
        if (!user.empty()) {
            url.username = user;
            url.password = "secret";
        }
        if (user == "blind")
            server.ask({"ACL", "SETUSER", "blind", "on", ">secret", "~*", "+@all", "-pubsub"});
        if (user == "narrow")
            server.ask({"ACL", "SETUSER", "narrow", "on", ">secret", "~*", "+@all", "-client"});
        client.emplace(loop, redis::ClientOptions{.url = url}, redis::Client::Changed{});
        client->start();
        REQUIRE(run_until(loop, [this] { return client->is_connected(); }));
    }

    static std::vector<Veto> ask(loop::Loop& on, Vetoes& vetoes, Strings names) {
        std::optional<Result<std::vector<Veto>>> answer;
        vetoes.ask(std::move(names), [&](auto result) { answer = std::move(result); });
        REQUIRE_FALSE(answer);  // never inside the call
        REQUIRE(run_until(on, [&] { return answer.has_value(); }));
        REQUIRE(*answer);
        return **answer;
    }

    // A connection of somebody else, which stays until it is told otherwise.
    std::unique_ptr<redis::Client> somebody(const Strings& says) {
        auto other = std::make_unique<redis::Client>(
            loop, redis::ClientOptions{.url = server.url()}, redis::Client::Changed{});
        other->start();
        REQUIRE(run_until(loop, [&] { return other->is_connected(); }));
        bool done = false;
        other->command(says, [&](const Result<redis::Reply>&) { done = true; });
        REQUIRE(run_until(loop, [&] { return done; }));
        return other;
    }

    RedisServer server;
    loop::Loop loop;
    std::optional<redis::Client> client;
};

const registry::LifeSigns like_rq{.channel_prefix = "rq:pubsub:", .names_connections = true};

}  // namespace

TEST_CASE("a subscriber and a named connection veto, in the order of the names") {
    Rig rig;
    const auto subscriber = rig.somebody({"SUBSCRIBE", "rq:pubsub:listens"});
    const auto named = rig.somebody({"CLIENT", "SETNAME", "named"});
    Vetoes vetoes(*rig.client, like_rq);
    CHECK(Rig::ask(rig.loop, vetoes, {"gone", "named", "listens"}) ==
          std::vector{Veto::none, Veto::connected, Veto::subscribed});
    CHECK(vetoes.blind_spot().empty());
}

TEST_CASE("more names than go into one call are all answered") {
    Rig rig;
    const auto subscriber = rig.somebody({"SUBSCRIBE", "rq:pubsub:w1234"});
    Vetoes vetoes(*rig.client, like_rq);
    Strings names;
    for (int i = 0; i < 1300; ++i) names.push_back("w" + std::to_string(i));
    const auto found = Rig::ask(rig.loop, vetoes, names);
    REQUIRE(found.size() == 1300);
    CHECK(found[1234] == Veto::subscribed);
    CHECK(std::count(found.begin(), found.end(), Veto::none) == 1299);
}

TEST_CASE("the list of connections is read once, until it is started anew") {
    Rig rig;
    Vetoes vetoes(*rig.client, like_rq);
    CHECK(Rig::ask(rig.loop, vetoes, {"late"}) == std::vector{Veto::none});
    const auto named = rig.somebody({"CLIENT", "SETNAME", "late"});
    CHECK(Rig::ask(rig.loop, vetoes, {"late"}) == std::vector{Veto::none});
    vetoes.start_anew();
    CHECK(Rig::ask(rig.loop, vetoes, {"late"}) == std::vector{Veto::connected});
}

TEST_CASE("where PUBSUB is refused, everything is vetoed, and one sentence says what to allow") {
    Rig rig{"blind"};
    Vetoes vetoes(*rig.client, like_rq);
    CHECK(Rig::ask(rig.loop, vetoes, {"a", "b"}) == std::vector{Veto::unseen, Veto::unseen});
    CHECK(vetoes.blind_spot().find("+pubsub|numsub") != std::string::npos);
}

TEST_CASE("where CLIENT is refused, subscribers alone are looked at") {
    Rig rig{"narrow"};
    const auto subscriber = rig.somebody({"SUBSCRIBE", "rq:pubsub:listens"});
    Vetoes vetoes(*rig.client, like_rq);
    CHECK(Rig::ask(rig.loop, vetoes, {"gone", "listens"}) ==
          std::vector{Veto::none, Veto::subscribed});
    CHECK(vetoes.blind_spot().find("+client|list") != std::string::npos);
}

TEST_CASE("a job system without signs of life vetoes nothing") {
    Rig rig;
    Vetoes vetoes(*rig.client, {});
    CHECK(Rig::ask(rig.loop, vetoes, {"a"}) == std::vector{Veto::none});
}

TEST_CASE("a Redis that goes away is an error, not a silence") {
    Rig rig;
    Vetoes vetoes(*rig.client, like_rq);
    std::optional<Result<std::vector<Veto>>> answer;
    rig.server.stop();
    vetoes.ask({"a"}, [&](auto result) { answer = std::move(result); });
    REQUIRE(run_until(rig.loop, [&] { return answer.has_value(); }));
    CHECK_FALSE(answer->ok());
}
