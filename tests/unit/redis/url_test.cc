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
    for (const char* text : {"geheim",
                             "http://geheim",
                             "redis://:ge/geheim@h",
                             "redis://:geheim@h:port",
                             "redis://h:0",
                             "redis://h:65536",
                             "redis://h/geheim",
                             "redis://h/-1",
                             "redis://h/4294967296",
                             "redis://h/1x",
                             "redis://:%geheim@h",
                             "redis://:%4@h",
                             "redis://h?geheim=1",
                             "redis://h?db=geheim",
                             "redis://geheim:@h",
                             "redis+sentinel://h",
                             "redis+sentinel://geheim@h",
                             "redis+sentinel://a,geheim:x/s",
                             "redis+sentinel://:geheim@,b/s",
                             "redis+sentinel://h/s/geheim",
                             "redis+sentinel://h//0",
                             "unix+sentinel://geheim/s",
                             "redis://h?sentinel_password=geheim",
                             "redis+sentinel://h/s?sentinel_username=geheim"}) {
        CAPTURE(text);
        const auto url = parse_url(text);
        REQUIRE_FALSE(url);
        CHECK(url.error().message().find("geheim") == std::string::npos);
        CHECK(url.error().hint().find("geheim") == std::string::npos);
    }
}

TEST_CASE("rediss is the same over TLS") {
    const auto url = parse_url("rediss://:geheim@h:7000/1");
    REQUIRE(url);
    CHECK(url->is_tls);
    CHECK(url->shown == "rediss://:***@h:7000/1");
    CHECK_FALSE(parse_url("redis://h")->is_tls);
}

TEST_CASE("a sentinel URL names sentinels, the service, and two logins") {
    const auto url = parse_url(
        "redis+sentinel://joe:pw@a:1,b,[::1]:3/my%20master/2?sentinel_username=u&"
        "sentinel_password=geheim");
    REQUIRE(url);
    using muster::redis::Address;
    CHECK(url->sentinels == std::vector<Address>{{"a", 1}, {"b", 26379}, {"::1", 3}});
    CHECK(url->service == "my master");
    CHECK(url->database == 2);
    CHECK(url->username == "joe");
    CHECK(url->password == "pw");
    CHECK(url->sentinel_username == "u");
    CHECK(url->sentinel_password == "geheim");
    CHECK_FALSE(url->is_tls);
    CHECK(url->shown == "redis+sentinel://joe:***@a:1,b:26379,[::1]:3/my master/2");
    const auto small = parse_url("rediss+sentinel://a/s");
    REQUIRE(small);
    CHECK(small->is_tls);
    CHECK(small->sentinels.size() == 1);
    CHECK(small->database == 0);
    CHECK(parse_url("redis+sentinel://a/s/")->service == "s");
}

TEST_CASE("what a peer says is shown without our secrets (I12)") {
    auto url = *parse_url("redis+sentinel://:pw1@a/s?sentinel_password=pw2");
    CHECK(muster::redis::without_secrets("pw1 and pw2, pw1pw1", url) == "*** and ***, ******");
    url.password = "*";
    CHECK(muster::redis::without_secrets("a*b", url) == "a***b");
}
