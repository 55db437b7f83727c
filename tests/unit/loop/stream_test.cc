#include "loop/stream.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <fstream>
#include <vector>

#include "../loop/turns.h"
#include "base/unique_fd.h"
#include "loop/resolver.h"

using namespace muster;
using namespace muster::loop;
using namespace std::chrono_literals;

namespace {

// What a stream has told.
struct Heard {
    std::string bytes;
    std::string connected;
    std::string closed;  // "end" or the error
    int drained = 0;

    [[nodiscard]] bool is_over() const { return !closed.empty(); }
    Stream::Connected on_connected() {
        return [this](Outcome outcome) {
            connected = outcome ? "connected" : outcome.error().message();
        };
    }
    Stream::Events events() {
        return {.read = [this](std::string_view text) { bytes += text; },
                .closed =
                    [this](std::optional<Error> why) {
                        CHECK(closed.empty());
                        closed = why ? why->message() : "end";
                    },
                .drained = [this] { ++drained; }};
    }
};

// A listener and one client of it, both ends with a Heard.
struct Pair {
    Loop loop;
    TemporaryFolder folder;
    std::string path = folder / "socket";
    Heard at_client;
    Heard at_server;
    std::unique_ptr<Listener> listener;
    std::unique_ptr<Stream> server;
    std::unique_ptr<Stream> client;

    explicit Pair(bool starts_server = true) {
        auto listening = Listener::listen_unix(loop, path, 0600,
                                               [this](auto stream) { server = std::move(stream); });
        REQUIRE(listening.ok());
        listener = std::move(*listening);
        client = Stream::connect_unix(loop, path, at_client.on_connected(), at_client.events());
        CHECK(at_client.connected.empty());  // never from inside
        REQUIRE(eventually(loop, [&] { return server && !at_client.connected.empty(); }));
        CHECK(at_client.connected == "connected");
        if (starts_server) server->start(at_server.events());
    }
    Pair(const Pair&) = delete;
    Pair& operator=(const Pair&) = delete;
};

// A plain blocking TCP server socket of the system's choice of port.
struct TcpServer {
    UniqueFd fd{socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    std::uint16_t port = 0;

    TcpServer() {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        REQUIRE(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        socklen_t size = sizeof address;
        REQUIRE(getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
        port = ntohs(address.sin_port);
    }
    void start() const { REQUIRE(listen(fd.get(), 4) == 0); }
};

}  // namespace

TEST_CASE("bytes go both ways over a unix socket, also megabytes, and drained comes once") {
    Pair pair;
    pair.client->write("ping");
    REQUIRE(eventually(pair.loop, [&] { return pair.at_server.bytes == "ping"; }));
    CHECK(pair.client->queued() == 0);
    CHECK(pair.at_client.drained == 0);

    std::string big;
    for (int i = 0; big.size() < 4'000'000; ++i) big += std::to_string(i) + " ";
    pair.server->write(big.substr(0, 2'000'000));
    pair.server->write(big.substr(2'000'000, 7));
    pair.server->write(big.substr(2'000'007));
    CHECK(pair.server->queued() > 2'000'000);
    REQUIRE(eventually(pair.loop, [&] { return pair.at_client.bytes.size() == big.size(); }));
    CHECK(pair.at_client.bytes == big);
    REQUIRE(eventually(pair.loop, [&] { return pair.at_server.drained > 0; }));
    CHECK(pair.at_server.drained == 1);
    CHECK(pair.server->queued() == 0);
}

TEST_CASE("what is written before the connection stands arrives, and first") {
    Loop loop;
    TcpServer server;
    server.start();
    Heard heard;
    std::unique_ptr<Stream> client;
    client = Stream::connect_tcp(
        loop, "127.0.0.1", server.port, [&](Outcome) { client->write("second"); }, heard.events());
    client->write("first ");
    CHECK(client->queued() == 6);
    const UniqueFd accepted{accept(server.fd.get(), nullptr, nullptr)};
    REQUIRE(accepted.is_open());
    std::string got;
    REQUIRE(eventually(loop, [&] {
        std::array<char, 64> room{};
        const ssize_t size = recv(accepted.get(), room.data(), room.size(), MSG_DONTWAIT);
        if (size > 0) got.append(room.data(), static_cast<std::size_t>(size));
        return got.size() == 12;
    }));
    CHECK(got == "first second");
    int no_delay = 0;
    socklen_t size = sizeof no_delay;
    REQUIRE(getsockopt(client->fd(), IPPROTO_TCP, TCP_NODELAY, &no_delay, &size) == 0);
    CHECK(no_delay != 0);
    int keep_alive = 0;
    REQUIRE(getsockopt(client->fd(), SOL_SOCKET, SO_KEEPALIVE, &keep_alive, &size) == 0);
    CHECK(keep_alive != 0);
    REQUIRE(send(accepted.get(), "answer", 6, MSG_NOSIGNAL) == 6);
    CHECK(eventually(loop, [&] { return heard.bytes == "answer"; }));
}

TEST_CASE("a refused connection says so, later and once") {
    Loop loop;
    Heard heard;
    const TcpServer not_listening;
    auto stream = Stream::connect_tcp(loop, "127.0.0.1", not_listening.port, heard.on_connected(),
                                      heard.events());
    stream->write("lost");
    CHECK(heard.connected.empty());
    REQUIRE(eventually(loop, [&] { return !heard.connected.empty(); }));
    CHECK(heard.connected ==
          "connecting to 127.0.0.1:" + std::to_string(not_listening.port) + ": connection refused");
    some_turns(loop);
    CHECK_FALSE(heard.is_over());
}

TEST_CASE("what cannot even be tried is told later too") {
    Loop loop;
    TemporaryFolder folder;
    for (const auto& [path, why] : std::vector<std::pair<std::string, std::string>>{
             {folder / "nothing", "no such file or directory"},
             {folder / std::string(200, 'x'), "name too long"}}) {
        Heard heard;
        auto stream = Stream::connect_unix(loop, path, heard.on_connected(), heard.events());
        CHECK(heard.connected.empty());
        REQUIRE(eventually(loop, [&] { return !heard.connected.empty(); }));
        CHECK(heard.connected == "connecting to " + path + ": " + why);
    }
    Heard heard;
    auto stream = Stream::connect_tcp(loop, "no address", 1, heard.on_connected(), heard.events());
    REQUIRE(eventually(loop, [&] { return !heard.connected.empty(); }));
    CHECK(heard.connected == "connecting to no address:1: invalid argument");
}

TEST_CASE("a stream that is destroyed while it connects tells nothing") {
    Loop loop;
    TcpServer server;
    server.start();
    Heard heard;
    Stream::connect_tcp(loop, "127.0.0.1", server.port, heard.on_connected(), heard.events())
        .reset();
    Stream::connect_tcp(loop, "bad", 1, heard.on_connected(), heard.events()).reset();
    loop.run();
    CHECK(heard.connected.empty());
    CHECK_FALSE(heard.is_over());
}

TEST_CASE("the peer's end of stream closes, after its last bytes") {
    Pair pair;
    pair.client->write("last words");
    pair.client.reset();
    REQUIRE(eventually(pair.loop, [&] { return pair.at_server.is_over(); }));
    CHECK(pair.at_server.bytes == "last words");
    CHECK(pair.at_server.closed == "end");
    pair.server->write("too late");
    CHECK(pair.server->queued() == 0);
}

TEST_CASE("a half-closed stream can still be answered by whoever asked for `ended`") {
    Pair pair{false};
    Stream::Events events = pair.at_server.events();
    events.ended = [&] {
        pair.server->write("answer to " + pair.at_server.bytes);
        pair.server->close_when_written();
    };
    pair.server->start(std::move(events));
    pair.client->write("question");
    pair.client->shutdown_write();
    pair.client->write("ignored after that");
    REQUIRE(eventually(pair.loop, [&] { return pair.at_server.is_over(); }));
    CHECK(pair.at_server.closed == "end");
    pair.server.reset();
    REQUIRE(eventually(pair.loop, [&] { return pair.at_client.is_over(); }));
    CHECK(pair.at_client.bytes == "answer to question");
    CHECK(pair.at_client.closed == "end");
}

TEST_CASE("a half close waits for the queue") {
    Pair pair;
    const std::string big(1'000'000, 'x');
    pair.client->write(big);
    pair.client->shutdown_write();
    REQUIRE(eventually(pair.loop, [&] { return pair.at_server.is_over(); }));
    CHECK(pair.at_server.bytes.size() == big.size());
}

TEST_CASE("close_when_written writes all, and then tells") {
    Pair pair;
    const std::string big(1'000'000, 'x');
    pair.server->write(big);
    pair.server->close_when_written();
    CHECK_FALSE(pair.at_server.is_over());
    REQUIRE(eventually(pair.loop, [&] { return pair.at_server.is_over(); }));
    pair.server.reset();
    REQUIRE(eventually(pair.loop, [&] { return pair.at_client.is_over(); }));
    CHECK(pair.at_client.bytes.size() == big.size());

    pair.client->close_when_written();  // over already: nothing comes a second time
    some_turns(pair.loop);
    CHECK(pair.at_client.closed == "end");
}

TEST_CASE("writing to a peer that has gone is an error, not a signal") {
    Pair pair{false};
    pair.server.reset();  // nothing is read from it, so the client need not notice by reading
    pair.client->pause_reading(true);
    pair.client->write("hello?");
    CHECK(pair.at_client.closed.empty());
    REQUIRE(eventually(pair.loop, [&] { return pair.at_client.is_over(); }));
    CHECK(pair.at_client.closed == "writing: broken pipe");
}

TEST_CASE("a paused stream hears nothing until it goes on") {
    Pair pair;
    pair.server->pause_reading(true);
    pair.client->write("text");
    some_turns(pair.loop);
    CHECK(pair.at_server.bytes.empty());
    pair.server->pause_reading(false);
    CHECK(eventually(pair.loop, [&] { return pair.at_server.bytes == "text"; }));
}

TEST_CASE("a stream may be destroyed in each of its events") {
    Pair pair{false};
    SUBCASE("read") {
        pair.server->start({.read = [&](std::string_view) { pair.server.reset(); }});
        pair.client->write("x");
    }
    SUBCASE("closed") {
        pair.server->start({.closed = [&](std::optional<Error>) { pair.server.reset(); }});
        pair.client.reset();
    }
    SUBCASE("ended") {
        pair.server->start({.ended = [&] { pair.server.reset(); }});
        pair.client->shutdown_write();
    }
    SUBCASE("drained") {
        pair.server->start({.drained = [&] { pair.server.reset(); }});
        pair.server->write(std::string(1'000'000, 'x'));
    }
    SUBCASE("closed, with a full queue") {
        pair.client->pause_reading(true);
        pair.server->start({.closed = [&](std::optional<Error>) { pair.server.reset(); }});
        pair.server->write(std::string(1'000'000, 'x'));
        pair.client.reset();
    }
    CHECK(eventually(pair.loop, [&] { return pair.server == nullptr; }));
}

TEST_CASE("a stream may be destroyed in its connected callback, whatever the outcome") {
    Loop loop;
    TcpServer server;
    SUBCASE("connected") {
        server.start();
    }
    SUBCASE("refused") {}
    std::unique_ptr<Stream> stream;
    bool told = false;
    stream = Stream::connect_tcp(loop, "127.0.0.1", server.port,
                                 [&](Outcome) {
                                     told = true;
                                     stream.reset();
                                 },
                                 {.read = [](std::string_view) { FAIL("not after its end"); }});
    CHECK(eventually(loop, [&] { return told; }));
}

TEST_CASE("the socket file has its mode from the start and goes with the listener") {
    Loop loop;
    TemporaryFolder folder;
    const std::string path = folder / "socket";
    {
        const auto listener = Listener::listen_unix(loop, path, 0600, [](auto) {});
        REQUIRE(listener.ok());
        struct stat info {};
        REQUIRE(stat(path.c_str(), &info) == 0);
        CHECK((info.st_mode & 0777) == 0600);

        const auto second = Listener::listen_unix(loop, path, 0600, [](auto) {});
        REQUIRE_FALSE(second.ok());
        CHECK(second.error().message() == "listening on " + path + ": Address already in use");
        CHECK(std::filesystem::exists(path));
    }
    CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("a dead process's socket file is replaced, any other file is not") {
    Loop loop;
    TemporaryFolder folder;
    const std::string path = folder / "socket";
    {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        const UniqueFd dead{socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        REQUIRE(bind(dead.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    }
    REQUIRE(std::filesystem::exists(path));
    CHECK(Listener::listen_unix(loop, path, 0600, [](auto) {}).ok());
    std::ofstream{path} << "precious";
    CHECK_FALSE(Listener::listen_unix(loop, path, 0600, [](auto) {}).ok());
    CHECK(std::filesystem::file_size(path) == 8);
    CHECK_FALSE(Listener::listen_unix(loop, folder / "no/where", 0600, [](auto) {}).ok());
    CHECK_FALSE(
        Listener::listen_unix(loop, folder / std::string(150, 'x'), 0600, [](auto) {}).ok());
}

TEST_CASE("a listener may be destroyed while it hands over a connection") {
    Loop loop;
    TemporaryFolder folder;
    std::unique_ptr<Listener> listener;
    std::unique_ptr<Stream> accepted;
    auto listening = Listener::listen_unix(loop, folder / "socket", 0600, [&](auto stream) {
        accepted = std::move(stream);
        listener.reset();
    });
    REQUIRE(listening.ok());
    listener = std::move(*listening);
    Heard one;
    Heard two;
    auto first = Stream::connect_unix(loop, folder / "socket", one.on_connected(), one.events());
    auto second = Stream::connect_unix(loop, folder / "socket", two.on_connected(), two.events());
    REQUIRE(eventually(loop, [&] { return accepted && !two.connected.empty(); }));
    CHECK(listener == nullptr);
    CHECK(two.connected == "connecting to " + (folder / "socket") + ": connection reset by peer");
    accepted->write("you are the first");
    CHECK(eventually(loop, [&] { return one.bytes == "you are the first"; }));
}

TEST_CASE("bytes go both ways over TCP; an address that is taken is told") {
    Loop loop;
    Heard at_client;
    Heard at_server;
    std::unique_ptr<Stream> server;
    const auto accepted = [&](std::unique_ptr<Stream> stream) {
        server = std::move(stream);
        server->start(at_server.events());
    };
    for (const char* address : {"127.0.0.1", "::1"}) {
        auto listener = TcpListener::listen(loop, address, 0, accepted);
        if (!listener && std::string_view(address) == "::1") continue;  // a host without IPv6
        REQUIRE(listener.ok());
        const std::uint16_t port = (*listener)->port();
        const auto again = TcpListener::listen(loop, address, port, accepted);
        REQUIRE_FALSE(again.ok());
        CHECK(again.error().message().find(std::to_string(port)) != std::string::npos);
        CHECK(again.error().hint() == "another process listens there");
        at_client = {};
        at_server = {};
        auto client =
            Stream::connect_tcp(loop, address, port, at_client.on_connected(), at_client.events());
        client->write("ping");
        REQUIRE(eventually(loop, [&] { return at_server.bytes == "ping"; }));
        server->write("pong");
        REQUIRE(eventually(loop, [&] { return at_client.bytes == "pong"; }));
        client.reset();
        REQUIRE(eventually(loop, [&] { return at_server.is_over(); }));
    }
    CHECK_FALSE(TcpListener::listen(loop, "no address", 1, accepted).ok());
}

TEST_CASE("localhost is found, a numeric address is its own answer, nonsense is an error") {
    Loop loop;
    Resolver resolver{loop};
    std::vector<std::string> local;
    std::vector<std::string> numeric;
    std::string error;
    resolver.lookup("localhost", 6379, [&](auto found) {
        REQUIRE(found.ok());
        local = *found;
    });
    resolver.lookup("10.1.2.3", 6379, [&](auto found) { numeric = *found; });
    resolver.lookup(std::string(5000, 'x'), 6379,
                    [&](auto found) { error = found.error().message(); });
    CHECK(numeric.empty());
    CHECK(error.empty());
    REQUIRE(eventually(loop, [&] { return !local.empty() && !numeric.empty() && !error.empty(); }));
    CHECK(numeric == std::vector<std::string>{"10.1.2.3"});
    for (const std::string& address : local) CHECK((address == "127.0.0.1" || address == "::1"));
    CHECK(error.starts_with("looking up the host xxx"));
}

TEST_CASE("a resolver that is gone answers nobody, also when it went in an answer") {
    Loop loop;
    int answers = 0;
    auto resolver = std::make_unique<Resolver>(loop);
    for (int i = 0; i < 3; ++i) {
        resolver->lookup("localhost", 1, [&](auto) { ++answers; });
        resolver->lookup("127.0.0.1", 1, [&](auto) {
            ++answers;
            resolver.reset();
        });
    }
    REQUIRE(eventually(loop, [&] { return resolver == nullptr; }));
    const int until_then = answers;
    loop.run();
    CHECK(answers == until_then);
}
