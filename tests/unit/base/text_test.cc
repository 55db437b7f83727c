#include "base/text.h"

#include <doctest/doctest.h>

#include <array>
#include <cerrno>

using namespace muster;

TEST_CASE("the nearest word is offered only when it is near") {
    constexpr std::array<std::string_view, 3> words{"start_timeout", "stop", "command"};
    CHECK(nearest("start_timout", words) == "start_timeout");
    CHECK(nearest("comand", words) == "command");
    CHECK(nearest("zzzzzzzz", words).empty());
}

TEST_CASE("I12: a URL is shown without its password") {
    CHECK(redacted("redis://:s3cret@host:6379/0") == "redis://:***@host:6379/0");
    CHECK(redacted("redis://user:p@ss@host/0") == "redis://user:***@host/0");
    CHECK(redacted("unix:///run/redis.sock?password=x") == "unix:///run/redis.sock?***");
    CHECK(redacted("redis://s3cret@host") == "redis://***@host");
    CHECK(redacted("redis://:a/b@c@host/1") == "redis://:***@host/1");
    CHECK(redacted("redis://host:6379") == "redis://host:6379");
}

TEST_CASE("signals are known by name, by long name and by number") {
    CHECK(signal_by_name("TERM") == 15);
    CHECK(signal_by_name("SIGKILL") == 9);
    CHECK(signal_by_name("10") == 10);
    CHECK(signal_by_name("NOPE") == 0);
    CHECK(signal_by_name("0") == 0);
    CHECK(signal_name(15) == "TERM");
}

TEST_CASE("random text has the asked length and differs") {
    CHECK(random_text(10).size() == 10);
    CHECK(random_text(10) != random_text(10));
}

TEST_CASE("text is split, trimmed and joined") {
    CHECK(split("a,,b", ',').size() == 3);
    CHECK(trimmed("  x \n") == "x");
    CHECK(joined(split("a,b", ','), "+") == "a+b");
}

TEST_CASE("what the kernel refuses is said, and whether it is only short of something") {
    const Error denied = errno_error("opening /x", EACCES, "chmod it");
    CHECK(denied.message() == "opening /x: Permission denied");
    CHECK(denied.hint() == "chmod it");
    CHECK_FALSE(denied.is_scarcity());
    const Error short_of_files =
        errno_error("opening /x", EMFILE, "chmod it").while_doing("starting");
    CHECK(short_of_files.message() == "starting: opening /x: Too many open files");
    CHECK(short_of_files.hint().find("LimitNOFILE") != std::string::npos);
    CHECK(short_of_files.is_scarcity());
    for (const int code : {EAGAIN, ENOMEM, ENFILE}) {
        CHECK(is_scarcity(code));
        CHECK_FALSE(scarcity_advice(code).empty());
    }
    CHECK(scarcity_advice(ENOENT).empty());
}
