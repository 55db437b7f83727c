#include "health/tcp.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

using namespace muster;
using namespace muster::health;
using namespace std::chrono_literals;

TEST_CASE("an address is host:port, with brackets for IPv6, or the path of a unix socket") {
    const auto tcp = parse_address("127.0.0.1:6379");
    REQUIRE(tcp);
    CHECK(tcp->host == "127.0.0.1");
    CHECK(tcp->port == 6379);
    CHECK(parse_address("[::1]:80")->host == "::1");
    CHECK(parse_address("/run/x.sock")->socket_path == "/run/x.sock");
    for (const char* wrong : {"", "host", ":80", "host:", "host:0", "host:65536", "host:8x"}) {
        CAPTURE(wrong);
        CHECK_FALSE(parse_address(wrong));
    }
}

TEST_CASE("a probe may be destroyed by what it calls, which goes on with its own values") {
    char folder[] = "/tmp/muster-probe-XXXXXX";
    REQUIRE(mkdtemp(folder) != nullptr);
    const std::string path = std::string(folder) + "/socket";
    loop::Loop loop;
    std::string told;
    {
        std::unique_ptr<loop::Stream> accepted;
        auto listener = loop::Listener::listen_unix(
            loop, path, 0600,
            [&](std::unique_ptr<loop::Stream> stream) { accepted = std::move(stream); });
        REQUIRE(listener);
        std::unique_ptr<TcpProbe> probe;
        const std::string word = "a word that is too long for the closure to hold it in itself";
        probe = std::make_unique<TcpProbe>(loop, *parse_address(path), [&, word] {
            probe.reset();
            told = word;
            loop.stop();
        });
        loop.run();
    }
    CHECK(told == "a word that is too long for the closure to hold it in itself");
    ::rmdir(folder);
}

TEST_CASE("a probe tries until somebody listens, and tells it once") {
    char folder[] = "/tmp/muster-probe-XXXXXX";
    REQUIRE(mkdtemp(folder) != nullptr);
    const std::string path = std::string(folder) + "/socket";
    loop::Loop loop;
    int told = 0;
    {
        std::unique_ptr<loop::Listener> listener;
        std::unique_ptr<loop::Stream> accepted;
        TcpProbe probe{loop, *parse_address(path), [&] {
                           ++told;
                           loop.stop();
                       }};
        loop::Timer late{loop, [&] {
                             CHECK(told == 0);
                             auto listening = loop::Listener::listen_unix(
                                 loop, path, 0600, [&](std::unique_ptr<loop::Stream> stream) {
                                     accepted = std::move(stream);
                                 });
                             REQUIRE(listening);
                             listener = std::move(*listening);
                         }};
        late.arm(loop.now() + 50ms);
        loop::Timer too_late{loop, [&] { loop.stop(); }};
        too_late.arm(loop.now() + 10s);
        loop.run();
    }
    CHECK(told == 1);
    ::rmdir(folder);
}
