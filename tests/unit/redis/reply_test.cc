#include "redis/reply.h"

#include <doctest/doctest.h>

#include "redis/command.h"

using muster::redis::formatted;
using muster::redis::Reply;
using muster::redis::ReplyReader;

namespace {

Reply only(std::string_view bytes) {
    ReplyReader reader;
    REQUIRE(reader.feed(bytes));
    auto reply = reader.next();
    REQUIRE(reply);
    REQUIRE(*reply);
    return std::move(**reply);
}

// Whether the reader sees that the bytes are broken.
bool is_refused(std::string_view bytes, ReplyReader::Limits limits = {}) {
    ReplyReader reader(limits);
    if (!reader.feed(bytes)) return true;
    for (;;) {
        const auto reply = reader.next();
        if (!reply) return !reader.next();  // and it stays broken
        if (!*reply) return false;
    }
}

}  // namespace

TEST_CASE("a command carries any bytes") {
    const std::vector<std::string> argv{"SET", std::string("a\0\r\n", 4), ""};
    CHECK(formatted(argv) == std::string("*3\r\n$3\r\nSET\r\n$4\r\na\0\r\n\r\n$0\r\n\r\n", 29));
    CHECK(formatted(std::vector<std::string>{}).empty());
}

TEST_CASE("each kind of reply is read") {
    CHECK(only("+OK\r\n").type == Reply::Type::status);
    CHECK(only("+OK\r\n").text == "OK");
    CHECK(only("-ERR no\r\n").is_error());
    CHECK(only("-ERR no\r\n").text == "ERR no");
    CHECK(only(":-42\r\n").integer == -42);
    CHECK(only("$3\r\na\r\n\r\n").text == "a\r\n");
    CHECK(only("$0\r\n\r\n").type == Reply::Type::text);
    CHECK(only("$-1\r\n").is_nil());
    CHECK(only("*-1\r\n").is_nil());
    CHECK(only("*0\r\n").is_array());
}

TEST_CASE("arrays hold arrays, in order") {
    const auto reply = only("*3\r\n*2\r\n:1\r\n$1\r\na\r\n$-1\r\n*1\r\n*1\r\n:5\r\n");
    REQUIRE(reply.elements.size() == 3);
    REQUIRE(reply.elements[0].elements.size() == 2);
    CHECK(reply.elements[0].elements[0].integer == 1);
    CHECK(reply.elements[0].elements[1].text == "a");
    CHECK(reply.elements[1].is_nil());
    CHECK(reply.elements[2].elements.at(0).elements.at(0).integer == 5);
}

TEST_CASE("replies come whole, however the bytes are cut") {
    const std::string_view bytes = "*2\r\n$5\r\nhello\r\n:7\r\n+OK\r\n";
    ReplyReader reader;
    std::vector<Reply> replies;
    for (const char byte : bytes) {
        REQUIRE(reader.feed({&byte, 1}));
        auto reply = reader.next();
        REQUIRE(reply);
        if (*reply) replies.push_back(std::move(**reply));
    }
    REQUIRE(replies.size() == 2);
    CHECK(replies[0].elements.at(0).text == "hello");
    CHECK(replies[1].text == "OK");
}

TEST_CASE("what is not Redis is refused") {
    CHECK(is_refused("HTTP/1.1 400 Bad Request\r\n"));
    CHECK(is_refused(std::string_view("\0\0\0", 3)));
    CHECK(is_refused("$abc\r\nx\r\n"));
    CHECK(is_refused(":12x\r\n"));
    CHECK(is_refused("*2\r\n:1\r\n?\r\n"));
}

TEST_CASE("a reply deeper, longer or larger than allowed is refused") {
    std::string deep;
    for (int i = 0; i < 100'000; ++i) deep += "*1\r\n";
    CHECK(is_refused(deep));
    CHECK_FALSE(is_refused("*1\r\n*1\r\n:1\r\n", {.depth = 2, .elements = 10, .bytes = 1000}));
    CHECK(is_refused("*1\r\n*1\r\n*1\r\n:1\r\n", {.depth = 2, .elements = 10, .bytes = 1000}));
    CHECK(is_refused("*3\r\n:1\r\n:2\r\n:3\r\n", {.depth = 2, .elements = 3, .bytes = 1000}));
    CHECK(is_refused("$100\r\n" + std::string(60, 'x'), {.depth = 2, .elements = 3, .bytes = 50}));
    CHECK_FALSE(is_refused("*1000000000\r\n"));  // a promise alone takes no memory
}

TEST_CASE("the limits are those of one reply, not of the connection") {
    ReplyReader reader({.depth = 2, .elements = 3, .bytes = 40});
    for (int i = 0; i < 100; ++i) {
        REQUIRE(reader.feed("*2\r\n:1\r\n:2\r\n"));
        const auto reply = reader.next();
        REQUIRE(reply);
        CHECK(*reply);
    }
}
