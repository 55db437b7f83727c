#include "daemon/env_file.h"

#include <doctest/doctest.h>

using namespace muster;
using namespace muster::daemon;

TEST_CASE("an env_file has KEY=value lines, comments, quotes and an optional export") {
    const auto values = parse_env_file(
        "# a comment\n\nA=1\nexport B = two words \nC=\"quoted #\"\nD='x'\nE=\nF=a=b\r\n");
    REQUIRE(values);
    CHECK(values->at("A") == "1");
    CHECK(values->at("B") == "two words");
    CHECK(values->at("C") == "quoted #");
    CHECK(values->at("D") == "x");
    CHECK(values->at("E").empty());
    CHECK(values->at("F") == "a=b");
    CHECK(values->size() == 6);
}

TEST_CASE("I12: a line that is no KEY=value is told by its number, never by its text") {
    const auto values = parse_env_file("A=1\ns3cret\n");
    REQUIRE_FALSE(values);
    CHECK(values.error().message() == "line 2: not KEY=value");
}

TEST_CASE("an env_file that cannot be read is named with the reason") {
    const auto values = read_env_file("/nonexistent/env");
    REQUIRE_FALSE(values);
    CHECK(values.error().message() ==
          "reading env_file /nonexistent/env: No such file or directory");
}
