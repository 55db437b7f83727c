#include "redis/client.h"

#include <doctest/doctest.h>
#include <netinet/in.h>

#include <optional>

#include "loop/stream.h"
#include "rig.h"

using namespace muster;
using namespace std::chrono_literals;
using redis::Client;
using redis::ClientOptions;
using redis::Reply;
using redis::Url;
using test::RedisServer;
using test::run_until;

namespace {

struct Rig {
    explicit Rig(const Url& url, Duration connect_timeout = 5s, Duration command_timeout = 3s)
        : client(std::make_unique<Client>(
              loop,
              ClientOptions{.url = url,
                            .connect_timeout = connect_timeout,
                            .command_timeout = command_timeout,
                            .max_queue = 1000},
              [this](const Client::State& state) { told.push_back(state); })) {}

    // Starts it, and waits until it is connected, or is known to be away.
    void connect() {
        client->start();
        REQUIRE(connects());
    }
    void connect_in_vain(Duration longest = 10s) {
        client->start();
        REQUIRE(goes_away(longest));
    }
    bool connects(Duration longest = 10s) {
        return run_until(
            loop, [this] { return client->is_connected(); }, longest);
    }
    bool goes_away(Duration longest = 10s) {
        return run_until(
            loop, [this] { return !told.empty() && !client->is_connected(); }, longest);
    }
    Result<Reply> ask(std::vector<std::string> argv) {
        std::optional<Result<Reply>> answer;
        client->command(std::move(argv), [&](Result<Reply> reply) { answer = std::move(reply); });
        CHECK_FALSE(answer);  // never inside the call
        REQUIRE(run_until(loop, [&] { return answer.has_value(); }));
        return *answer;
    }
    const std::string& why() const { return client->state().why; }

    loop::Loop loop;
    std::vector<Client::State> told;
    std::unique_ptr<Client> client;
};

// A listener whose peer answers each read with the same bytes.
struct FakeServer {
    FakeServer(loop::Loop& loop, std::string says) : answer(std::move(says)) {
        auto made = loop::Listener::listen_unix(
            loop, folder.path() + "/s", 0600, [this](std::unique_ptr<loop::Stream> stream) {
                ++accepted;
                streams.push_back(std::move(stream));
                auto* one = streams.back().get();
                loop::Stream::Events events;
                events.read = [this, one](std::string_view) { one->write(answer); };
                events.closed = [](const std::optional<Error>&) {};
                one->start(std::move(events));
            });
        REQUIRE(made);
        listener = std::move(*made);
    }
    [[nodiscard]] Url url() const {
        Url url;
        url.socket_path = folder.path() + "/s";
        url.shown = "unix://fake";
        return url;
    }
    test::TemporaryFolder folder;
    std::string answer;
    int accepted = 0;
    std::vector<std::unique_ptr<loop::Stream>> streams;
    std::unique_ptr<loop::Listener> listener;
};

// A client whose only server is a fake one.
struct FakeRig {
    explicit FakeRig(std::string says, const std::string& password = {})
        : server(loop, std::move(says)), url(server.url()) {
        url.password = password;
        client = std::make_unique<Client>(loop, ClientOptions{.url = url},
                                          [this](const Client::State& state) {
                                              if (state.connected) ++connections;
                                              why = state.why;
                                          });
        client->start();
    }
    void run_for(Duration time) {
        run_until(
            loop, [] { return false; }, time);
    }
    bool is_told_why() {
        return run_until(loop, [this] { return !why.empty(); });
    }

    loop::Loop loop;
    FakeServer server;
    Url url;
    std::string why;
    int connections = 0;
    std::unique_ptr<Client> client;
};

struct Tcp {
    explicit Tcp(bool listens) : fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        REQUIRE(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
        if (listens) REQUIRE(listen(fd.get(), 8) == 0);
        REQUIRE(getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
        url.host = "127.0.0.1";
        url.port = ntohs(address.sin_port);
        url.shown = "redis://127.0.0.1";
    }
    UniqueFd fd;
    Url url;
};

}  // namespace

TEST_CASE("commands are answered in their order") {
    RedisServer server;
    Rig rig(server.url());
    rig.connect();
    std::vector<std::int64_t> answers;
    for (int i = 0; i < 500; ++i)
        rig.client->command({"INCR", "n"},
                            [&](const Result<Reply>& reply) { answers.push_back(reply->integer); });
    CHECK(rig.client->open_commands() == 500);
    REQUIRE(run_until(rig.loop, [&] { return answers.size() == 500; }));
    for (std::size_t i = 0; i < answers.size(); ++i) CHECK(answers[i] == static_cast<int>(i) + 1);
    CHECK(rig.ask({"GET", "n"})->text == "500");
    CHECK(rig.ask({"NONSENSE"})->is_error());
}

TEST_CASE("user, password and database are told to Redis") {
    RedisServer server({"--requirepass", "geheim"});
    server.ask({"AUTH", "geheim"});
    server.ask({"ACL", "SETUSER", "joe", "on", ">pw", "~*", "+@all"});
    auto url = server.url();
    url.password = "geheim";
    url.database = 3;
    {
        Rig rig(url);
        rig.connect();
        CHECK(rig.ask({"SET", "there", "1"})->text == "OK");
    }
    url.username = "joe";
    url.password = "pw";
    Rig rig(url);
    rig.connect();
    CHECK(rig.ask({"ACL", "WHOAMI"})->text == "joe");
    CHECK(rig.ask({"GET", "there"})->text == "1");
    server.ask({"SELECT", "0"});
    CHECK(server.ask({"GET", "there"}).is_nil());
}

TEST_CASE("a wrong or missing password is told, without the password (I12)") {
    RedisServer server({"--requirepass", "richtig"});
    auto url = server.url();
    url.password = "geheim";
    Rig wrong(url);
    wrong.connect_in_vain();
    CHECK(wrong.why().find("refuses the password") != std::string::npos);
    CHECK(wrong.why().find("geheim") == std::string::npos);

    Rig missing(server.url());
    missing.connect_in_vain();
    CHECK(missing.why().find("wants a password") != std::string::npos);

    Url outside = server.url();
    outside.password = "richtig";
    outside.database = 99;
    Rig database(outside);
    database.connect_in_vain();
    CHECK(database.why().find("SELECT was refused") != std::string::npos);
}

TEST_CASE("an answer that repeats the password does not bring it into the log (I12)") {
    FakeRig rig("-ERR you said geheim and geheim\r\n", "geheim");
    REQUIRE(rig.is_told_why());
    CHECK(rig.why.find("***") != std::string::npos);
    CHECK(rig.why.find("geheim") == std::string::npos);
}

TEST_CASE("a Redis that refuses the connection is away, and commands fail at once") {
    const Tcp port(false);
    Rig rig(port.url);
    rig.connect_in_vain();
    CHECK(rig.why().find("refused") != std::string::npos);
    const auto answer = rig.ask({"PING"});
    REQUIRE_FALSE(answer);
    CHECK(answer.error().message().find("away") != std::string::npos);
}

TEST_CASE("a name that does not exist is away, told as such") {
    Url url;
    url.host = "no-such-host.invalid";
    url.shown = "redis://no-such-host.invalid";
    Rig rig(url);
    rig.connect_in_vain(20s);
    CHECK(rig.why().find("no-such-host.invalid") != std::string::npos);
}

TEST_CASE("a port that never answers ends by the connect deadline (I8)") {
    const Tcp port(true);
    Rig rig(port.url, 100ms);
    const TimePoint start = rig.loop.now();
    rig.connect_in_vain();
    CHECK(rig.loop.now() - start >= 100ms);
    CHECK(rig.loop.now() - start < 2s);
    CHECK(rig.why().find("no answer within 100ms") != std::string::npos);
}

TEST_CASE("a Redis that hangs is dropped by the command deadline and met again (I8)") {
    RedisServer server;
    Rig rig(server.url(), 100ms, 100ms);
    rig.connect();
    server.freeze();
    int failed = 0;
    for (int i = 0; i < 3; ++i)
        rig.client->command({"PING"}, [&](const Result<Reply>& reply) { failed += reply ? 0 : 1; });
    REQUIRE(run_until(rig.loop, [&] { return failed == 3; }));
    CHECK(rig.why().find("no answer within 100ms") != std::string::npos);
    CHECK_FALSE(rig.client->is_connected());
    server.thaw();
    REQUIRE(rig.connects());
    CHECK(rig.ask({"PING"})->text == "PONG");
}

TEST_CASE("a Redis that ends and comes back is found again") {
    RedisServer server;
    Rig rig(server.url());
    rig.connect();
    rig.told.clear();
    server.stop();
    REQUIRE(rig.goes_away());
    CHECK_FALSE(rig.ask({"PING"}));
    server.start();
    REQUIRE(rig.connects());
    CHECK(rig.ask({"PING"})->text == "PONG");
    CHECK_FALSE(rig.told.front().connected);
    CHECK(rig.told.back().connected);
}

TEST_CASE("garbage ends the connection, and it is not met in a hot loop") {
    FakeRig rig("HTTP/1.1 400 Bad Request\r\n\r\n");
    rig.run_for(500ms);
    CHECK(rig.why.find("not a Redis answer") != std::string::npos);
    CHECK(rig.server.accepted >= 1);
    CHECK(rig.server.accepted <= 11);  // one each 50 ms, had all random pauses been the shortest
}

TEST_CASE("a Redis that greets and then breaks is not met in a hot loop") {
    FakeRig rig("+PONG\r\n+WHO ASKED?\r\n");
    rig.run_for(500ms);
    CHECK(rig.connections >= 1);
    CHECK(rig.connections <= 11);
}

TEST_CASE("LOADING, MASTERDOWN and READONLY are errors, not answers, and Redis is away") {
    for (const char* text :
         {"-LOADING Redis is loading\r\n", "-MASTERDOWN Link\r\n", "-READONLY You\r\n"}) {
        Rig rig(Url{});
        FakeServer server(rig.loop, "+PONG\r\n");
        rig.client = std::make_unique<Client>(rig.loop, ClientOptions{.url = server.url()},
                                              [](const Client::State&) {});
        rig.connect();
        server.answer = text;
        const auto answer = rig.ask({"SET", "a", "b"});
        REQUIRE_FALSE(answer);
        CHECK_FALSE(rig.client->is_connected());
        CHECK(rig.why().find(std::string(text).substr(1, 6)) != std::string::npos);
    }
}

TEST_CASE("a Redis that is still loading when it greets is away") {
    FakeRig rig("-LOADING Redis is loading the dataset in memory\r\n");
    REQUIRE(rig.is_told_why());
    CHECK(rig.why.find("LOADING") != std::string::npos);
}

TEST_CASE("a script is sent once, and again when Redis has forgotten it") {
    RedisServer server;
    const std::string body = "return {KEYS[1], ARGV[1]}";
    const std::string sha1 = server.text({"SCRIPT", "LOAD", body});
    Rig rig(server.url());
    rig.connect();
    for (int i = 0; i < 3; ++i) {
        server.ask({"SCRIPT", "FLUSH"});
        if (i == 2) server.ask({"SCRIPT", "LOAD", body});
        std::optional<Result<Reply>> answer;
        rig.client->eval({body, sha1}, {"k"}, {"a"},
                         [&](Result<Reply> reply) { answer = std::move(reply); });
        REQUIRE(run_until(rig.loop, [&] { return answer.has_value(); }));
        REQUIRE(*answer);
        REQUIRE((*answer)->elements.size() == 2);
        CHECK((*answer)->elements[0].text == "k");
        CHECK((*answer)->elements[1].text == "a");
    }
    const std::string calls = server.text({"INFO", "commandstats"});
    CHECK(calls.find("cmdstat_eval:calls=2,") != std::string::npos);     // the first two times
    CHECK(calls.find("cmdstat_evalsha:calls=2,") != std::string::npos);  // the last two
}

TEST_CASE("the queue has a bound") {
    RedisServer server;
    Rig rig(server.url());
    rig.connect();
    int answered = 0;
    int failed = 0;
    for (int i = 0; i < 1001; ++i)
        rig.client->command({"PING"},
                            [&](const Result<Reply>& reply) { reply ? ++answered : ++failed; });
    REQUIRE(run_until(rig.loop, [&] { return answered + failed == 1001; }));
    CHECK(failed == 1);
}

TEST_CASE("a client may be destroyed inside an answer, a refusal and a change of state") {
    RedisServer server;
    {
        Rig rig(server.url());
        rig.connect();
        bool was_called = false;
        rig.client->command({"PING"}, [&](const Result<Reply>&) {
            was_called = true;
            rig.client.reset();
        });
        rig.client->command({"PING"}, [](const Result<Reply>&) { FAIL("its client is gone"); });
        REQUIRE(run_until(rig.loop, [&] { return was_called; }));
    }
    {
        Rig rig(server.url());
        bool was_called = false;
        rig.client->command({"PING"}, [&](const Result<Reply>&) {
            was_called = true;
            rig.client.reset();
        });
        rig.client->command({"PING"}, [](const Result<Reply>&) { FAIL("its client is gone"); });
        REQUIRE(run_until(rig.loop, [&] { return was_called; }));
    }
    {
        loop::Loop loop;
        std::unique_ptr<Client> client;
        client = std::make_unique<Client>(loop, ClientOptions{.url = server.url()},
                                          [&](const Client::State&) { client.reset(); });
        client->start();
        CHECK(run_until(loop, [&] { return client == nullptr; }));
    }
}

namespace {

ClientOptions with_marker(const Url& url) {
    return {.url = url, .command_timeout = 1s, .dataset_key = "m:dataset"};
}

struct MarkerRig {
    explicit MarkerRig(ClientOptions options)
        : client(loop, std::move(options), [this](const Client::State& state) {
              if (!state.connected) why = state.why;
          }) {
        client.start();
    }
    bool connects() {
        return run_until(loop, [this] { return client.is_connected(); });
    }
    bool goes_away() {
        return run_until(loop, [this] { return !client.is_connected() && !why.empty(); });
    }
    bool may_decide(Duration lease) {
        std::optional<bool> may;
        client.look_at_dataset(lease, [&](Result<bool> result) { may = result && *result; });
        REQUIRE(run_until(loop, [&] { return may.has_value(); }));
        return *may;
    }
    loop::Loop loop;
    std::string why;
    Client client;
};

}  // namespace

TEST_CASE("a connection learns who answers, and from which data") {
    RedisServer server;
    MarkerRig first(with_marker(server.url()));
    REQUIRE(first.connects());
    const auto session = first.client.session();
    CHECK(session.is_master);
    CHECK(session.run_id.size() == 40);
    CHECK_FALSE(session.version.empty());
    CHECK(session.is_new_dataset);
    CHECK(server.text({"HGET", "m:dataset", "id"}) == session.dataset);
    CHECK_FALSE(first.client.may_decide(1h));  // it may just have been emptied
    CHECK(first.client.may_decide(0s));
    server.ask({"HINCRBY", "m:dataset", "made_at", "-7200000"});
    MarkerRig second(with_marker(server.url()));
    REQUIRE(second.connects());
    CHECK(second.client.session().dataset == session.dataset);
    CHECK_FALSE(second.client.session().is_new_dataset);
    CHECK(second.client.may_decide(1h));
    CHECK_FALSE(second.client.may_decide(3h));
}

TEST_CASE("data that was emptied is noticed, also under a connection that stays") {
    RedisServer server;
    MarkerRig rig(with_marker(server.url()));
    REQUIRE(rig.connects());
    server.ask({"HINCRBY", "m:dataset", "made_at", "-7200000"});
    {
        MarkerRig settled(with_marker(server.url()));
        REQUIRE(settled.connects());
        CHECK(settled.may_decide(1h));
        server.ask({"FLUSHALL"});
        CHECK(settled.client.may_decide(1h));  // not looked yet
        CHECK_FALSE(settled.may_decide(1h));
        CHECK_FALSE(settled.client.may_decide(1h));
        CHECK(settled.client.session().is_new_dataset);
    }
    const std::string before = rig.client.session().dataset;
    server.stop();
    REQUIRE(rig.goes_away());
    server.start();
    REQUIRE(rig.connects());
    CHECK(rig.client.session().is_new_dataset);
    CHECK(rig.client.session().dataset != before);
    CHECK_FALSE(rig.client.may_decide(1h));
}

TEST_CASE("another server with the old data decides nothing within the first lease") {
    RedisServer server;
    MarkerRig rig(with_marker(server.url()));
    REQUIRE(rig.connects());
    const std::string id = server.text({"HGET", "m:dataset", "id"});
    server.stop();
    REQUIRE(rig.goes_away());
    server.start();
    server.ask({"HSET", "m:dataset", "id", id, "made_at", "1000"});
    REQUIRE(rig.connects());
    CHECK(rig.client.session().dataset == id);
    CHECK_FALSE(rig.client.session().is_new_dataset);
    CHECK_FALSE(rig.client.may_decide(1h));
}

TEST_CASE("a replica is away: nothing is decided from it") {
    RedisServer master({"--port", "0"});
    RedisServer replica({"--replicaof", "127.0.0.1", "1"});  // a master that is not there
    MarkerRig rig(with_marker(replica.url()));
    REQUIRE(rig.goes_away());
    CHECK(rig.why.find("replica") != std::string::npos);
    CHECK(rig.why.find("redis+sentinel://") != std::string::npos);
    replica.ask({"REPLICAOF", "NO", "ONE"});
    REQUIRE(rig.connects());
    replica.ask({"REPLICAOF", "127.0.0.1", "1"});
    std::optional<bool> has_failed;
    rig.client.command({"SET", "a", "b"},
                       [&](const Result<Reply>& reply) { has_failed = !reply.ok(); });
    REQUIRE(run_until(rig.loop, [&] { return has_failed.has_value(); }));
    CHECK(*has_failed);
    CHECK_FALSE(rig.client.is_connected());
}

TEST_CASE("a Redis that takes no writes is away until it does") {
    RedisServer server;
    server.ask({"CONFIG", "SET", "maxmemory", "1"});
    MarkerRig rig(with_marker(server.url()));
    REQUIRE(rig.goes_away());
    CHECK(rig.why.find("OOM") != std::string::npos);
    CHECK(rig.why.find("maxmemory") != std::string::npos);
    server.ask({"CONFIG", "SET", "maxmemory", "0"});
    CHECK(rig.connects());
}

TEST_CASE("a user who may not ask who answers is served all the same, and told once") {
    RedisServer server;
    server.ask({"ACL", "SETUSER", "joe", "on", ">pw", "~*", "+@all", "-info", "-eval", "-role"});
    auto options = with_marker(server.url());
    options.url.username = "joe";
    options.url.password = "pw";
    std::vector<std::string> refused;
    options.refused = [&](const std::string& command, const Error& why) {
        refused.push_back(command + "|" + why.message() + "|" + why.hint());
    };
    MarkerRig rig(std::move(options));
    REQUIRE(rig.connects());
    CHECK(rig.client.session().is_master);
    CHECK(rig.client.session().run_id.empty());
    CHECK(rig.client.session().dataset.empty());
    REQUIRE(refused.size() == 2);
    CHECK(refused[0].starts_with("INFO|"));
    CHECK(refused[0].find("NOPERM") != std::string::npos);
    CHECK(refused[0].find("muster check --connect") != std::string::npos);
    CHECK(refused[1].starts_with("EVAL|"));
    CHECK_FALSE(rig.may_decide(1h));  // refused again, and not told again
    CHECK(refused.size() == 2);
}

TEST_CASE("a new connection reads the URL anew, so that a password may change") {
    RedisServer server({"--requirepass", "old"});
    auto options = with_marker(server.url());
    options.url.password = "old";
    std::string password = "old";
    options.read_url = [&]() -> Result<Url> {
        if (password.empty()) return Error{"url_file: cannot be read"};
        Url url = server.url();
        url.password = password;
        return url;
    };
    MarkerRig rig(std::move(options));
    REQUIRE(rig.connects());
    password.clear();
    server.ask({"AUTH", "old"});
    server.ask({"CONFIG", "SET", "requirepass", "new"});
    server.ask({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
    REQUIRE(run_until(rig.loop, [&] { return rig.why == "url_file: cannot be read"; }));
    password = "new";
    REQUIRE(rig.connects());
}
