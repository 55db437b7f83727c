#include "redis/url.h"

#include <doctest/doctest.h>

using muster::redis::parse_url;

TEST_CASE("a Redis URL names host, port, database, user and password") {
    const auto url = parse_url("redis://joe:s%40cret@example:7000/3");
    REQUIRE(url);
    CHECK(url->host == "example");
    CHECK(url->port == 7000);
    CHECK(url->database == 3);
    CHECK(url->username == "joe");
    CHECK(url->password == "s@cret");
    CHECK(url->socket_path.empty());
}

TEST_CASE("what a Redis URL leaves out has a default") {
    const auto url = parse_url("redis://");
    REQUIRE(url);
    CHECK(url->host == "localhost");
    CHECK(url->port == 6379);
    CHECK(url->database == 0);
    CHECK(url->password.empty());
    CHECK(parse_url("redis://h/")->database == 0);
    CHECK(parse_url("redis://h:")->port == 6379);
}

TEST_CASE("a password may stand alone, with or without a colon, or in the query") {
    for (const char* text :
         {"redis://:geheim@h", "redis://geheim@h", "redis://h?password=geheim"}) {
        const auto url = parse_url(text);
        REQUIRE(url);
        CHECK(url->username.empty());
        CHECK(url->password == "geheim");
        CHECK(url->host == "h");
    }
}

TEST_CASE("an IPv6 address stands in brackets") {
    const auto url = parse_url("redis://[::1]:6380/1");
    REQUIRE(url);
    CHECK(url->host == "::1");
    CHECK(url->port == 6380);
    CHECK(url->shown == "redis://[::1]:6380/1");
    CHECK(parse_url("redis://[::1]")->port == 6379);
    CHECK_FALSE(parse_url("redis://[::1"));
    CHECK_FALSE(parse_url("redis://[::1]6380"));
}

TEST_CASE("a unix URL names a socket, and the rest in the query") {
    const auto url = parse_url("unix:///run/redis/r.sock?db=2&password=p%26q");
    REQUIRE(url);
    CHECK(url->socket_path == "/run/redis/r.sock");
    CHECK(url->database == 2);
    CHECK(url->password == "p&q");
    const auto login = parse_url("unix://joe:pw@/run/r.sock");
    REQUIRE(login);
    CHECK(login->username == "joe");
    CHECK(login->password == "pw");
    CHECK_FALSE(parse_url("unix://run/r.sock"));
    CHECK_FALSE(parse_url("unix:///"));
    CHECK_FALSE(parse_url("unix:///" + std::string(200, 'x')));
}

TEST_CASE("what a URL shows holds no password (I12)") {
    for (const char* text : {"redis://joe:geheim@h:1/2", "redis://:geheim@h", "redis://geheim@h",
                             "redis://h?password=geheim", "unix:///r?password=geheim&db=1"}) {
        const auto url = parse_url(text);
        REQUIRE(url);
        CHECK(url->shown.find("geheim") == std::string::npos);
        CHECK(url->shown.find("***") != std::string::npos);
    }
    CHECK(parse_url("redis://joe:geheim@h:1/2")->shown == "redis://joe:***@h:1/2");
}

TEST_CASE("a wrong URL is an error that does not repeat it (I12)") {
    for (const char* text :
         {"geheim", "http://geheim", "redis://:ge/geheim@h", "redis://:geheim@h:port",
          "redis://h:0", "redis://h:65536", "redis://h/geheim", "redis://h/-1",
          "redis://h/4294967296", "redis://h/1x", "redis://:%geheim@h", "redis://:%4@h",
          "redis://h?geheim=1", "redis://h?db=geheim", "redis://geheim:@h", "rediss://geheim@h",
          "redis+sentinel://h"}) {
        CAPTURE(text);
        const auto url = parse_url(text);
        REQUIRE_FALSE(url);
        CHECK(url.error().message().find("geheim") == std::string::npos);
        CHECK(url.error().hint().find("geheim") == std::string::npos);
    }
    CHECK(parse_url("rediss://h").error().message().find("not supported") != std::string::npos);
}
