#include "client/table.h"

#include <doctest/doctest.h>

using namespace muster::client;
using namespace std::chrono_literals;

TEST_CASE("columns are as wide as their widest cell, without blanks at the end") {
    CHECK(table({{{"A"}, {"LONG"}, {"C"}}, {{"xyz"}, {"1"}, {"-"}}, {{"x"}, {"2"}, {""}}}, false) ==
          "A    LONG  C\n"
          "xyz  1     -\n"
          "x    2\n");
    CHECK(table({{{"\xc3\xbc"}, {"1"}}, {{"ab"}, {"2"}}}, false) == "\xc3\xbc   1\nab  2\n");
}

TEST_CASE("colour is only there when it is wanted") {
    const std::vector<std::vector<Cell>> rows{{{"RUNNING", Colour::good}, {"1"}}};
    CHECK(table(rows, false) == "RUNNING  1\n");
    CHECK(table(rows, true) == "\x1b[32mRUNNING\x1b[0m  1\n");
}

TEST_CASE("a worker's name cannot give orders to the terminal") {
    CHECK(table({{{"a\x1b[2Jb\n\x7f"}}}, false) == "a?[2Jb??\n");
    CHECK(table({{{"\xc2\x9b"}}}, false) == "?\n");
}

TEST_CASE("durations are short") {
    CHECK(short_duration(0ms) == "0s");
    CHECK(short_duration(12'900ms) == "12s");
    CHECK(short_duration(303s) == "5m 03s");
    CHECK(short_duration(3h + 5min) == "3h 05m");
    CHECK(short_duration(52h) == "2d 4h");
}
