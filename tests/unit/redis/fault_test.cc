#include "redis/fault.h"

#include <doctest/doctest.h>

#include "redis/session.h"

using namespace muster;
using redis::classify;
using redis::Fault;

TEST_CASE("every error that Redis is known for has its class") {
    const auto all_are = [](Fault fault, std::initializer_list<const char*> texts) {
        for (const char* text : texts) CHECK_MESSAGE(classify(text) == fault, text);
    };
    all_are(Fault::elsewhere, {"READONLY You can't write against a read only replica.",
                               "MASTERDOWN Link with MASTER is down and replica-serve-stale-data "
                               "is set to 'no'."});
    all_are(Fault::later,
            {"LOADING Redis is loading the dataset in memory",
             "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to",
             "OOM command not allowed when used memory > 'maxmemory'.",
             "NOREPLICAS Not enough good replicas to write.",
             "BUSY Redis is busy running a script. You can only call SCRIPT KILL",
             "CLUSTERDOWN The cluster is down", "TRYAGAIN Multiple keys request during rehashing",
             "ERR max number of clients reached"});
    all_are(Fault::misconfigured,
            {"NOAUTH Authentication required.",
             "WRONGPASS invalid username-password pair or user is disabled.",
             "ERR invalid password", "ERR Client sent AUTH, but no password is set",
             "ERR AUTH <password> called without any password configured for the default user.",
             "MOVED 3999 127.0.0.1:6381", "ASK 3999 127.0.0.1:6381",
             "CROSSSLOT Keys in request don't hash to the same slot",
             "DENIED Redis is running in protected mode"});
    all_are(Fault::refused,
            {"NOPERM this user has no permissions to run the 'info' command",
             "NOPERM No permissions to access a key",
             "ERR ACL failure in script: This user has no permissions to run the 'hset' command",
             "ERR unknown command 'HELLO', with args beginning with:"});
    all_are(Fault::none,
            {"ERR syntax error", "WRONGTYPE Operation against a key", "", "BUSYGROUP x",
             "NOSCRIPT No matching script.", "ERR value is not an integer"});
}

TEST_CASE("an error that a script met is seen through, in the words of Redis 6 and of Redis 7") {
    CHECK(classify("ERR Error running script (call to f_abc): @user_script:5: -OOM command not "
                   "allowed") == Fault::later);
    CHECK(classify("ERR Error running script (call to f_abc): @user_script:5: @user_script: 5: "
                   "-READONLY You can't write") == Fault::none);  // another script's own words
    CHECK(classify("OOM command not allowed. script: abc, on @user_script:2.") == Fault::later);
    CHECK(classify("ERR Error running script (call to f_abc): @user_script:2: The user executing "
                   "the script can't run this command or subcommand") == Fault::refused);
    CHECK(classify("ERR Error running script (call to f_abc): @user_script:2: Unknown Redis "
                   "command called from script") == Fault::refused);
    CHECK(classify("ERR Error running script (call to f_abc): something else") == Fault::none);
}

TEST_CASE("the sentence names the place, what Redis said, and what mends it") {
    const auto error = redis::fault_error("redis://h:1/0", "MISCONF Errors writing to the AOF");
    CHECK(error.message() == "redis://h:1/0: MISCONF Errors writing to the AOF");
    CHECK(error.hint().find("cannot save") != std::string::npos);
    const auto other = redis::fault_error("x", "ERR odd " + std::string(1000, 'x'));
    CHECK(other.hint().empty());
    CHECK(other.message().size() < 250);
}

TEST_CASE("what INFO, ROLE and HELLO say is read, whatever they say") {
    using redis::Reply;
    const std::string info = "# Server\r\nredis_version:7.0.15\r\nrun_id:abc\r\nrun_idle:5\r\n";
    CHECK(redis::info_value(info, "run_id") == "abc");
    CHECK(redis::info_value(info, "redis_version") == "7.0.15");
    CHECK(redis::info_value(info, "run").empty());
    CHECK(redis::info_value("", "run_id").empty());
    const auto text = [](const char* words) { return Reply{Reply::Type::text, 0, words, {}}; };
    const Reply hello{
        Reply::Type::array, 0, {}, {text("version"), text("6.2"), text("role"), text("replica")}};
    REQUIRE(redis::read_hello(hello));
    CHECK_FALSE(redis::read_hello(hello)->is_master);
    CHECK_FALSE(redis::read_hello(Reply{Reply::Type::error, 0, "ERR unknown command", {}}));
    CHECK_FALSE(redis::read_hello(Reply{Reply::Type::array, 0, {}, {text("role")}}));
    CHECK(redis::read_role(Reply{Reply::Type::array, 0, {}, {text("master")}}) == true);
    CHECK(redis::read_role(Reply{Reply::Type::array, 0, {}, {text("slave")}}) == false);
    CHECK_FALSE(redis::read_role(Reply{Reply::Type::array, 0, {}, {}}));
    CHECK(redis::read_info_replication(text("role:slave\r\n")) == false);
    CHECK_FALSE(redis::read_info_replication(text("nothing")));
    CHECK_FALSE(
        redis::read_dataset(Reply{Reply::Type::array, 0, {}, {text("a"), text("-1")}}, "a"));
    CHECK_FALSE(redis::read_dataset(Reply{Reply::Type::nil, 0, {}, {}}, "a"));
}
