#include "client/arguments.h"

#include <doctest/doctest.h>

#include <string>

using muster::client::hide_secrets;

namespace {

std::string hidden(std::string argument) {
    hide_secrets(argument);
    return argument;
}

}  // namespace

TEST_CASE("I12: of a URL among the arguments the secrets are overwritten, and nothing else") {
    CHECK(hidden("redis://user:secret@host:6379/0") == "redis://***********@host:6379/0");
    CHECK(hidden("--redis=rediss://:se/c@ret@host/1") == "--redis=rediss://*********@host/1");
    CHECK(hidden("redis+sentinel://h:1/s?sentinel_password=x") ==
          "redis+sentinel://h:1/s?*******************");
    CHECK(hidden("redis://:a?b@h") == "redis://****@h");
    for (const char* plain : {"redis://host:6379/0", "unix:///run/redis.sock", "user@host", "--",
                              "://", "://@", "", "a?b=c"})
        CHECK(hidden(plain) == plain);
}
