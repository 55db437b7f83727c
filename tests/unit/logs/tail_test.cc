#include <doctest/doctest.h>

#include <random>
#include <string>

#include "logs/tail_ring.h"
#include "logs/tails.h"

using namespace muster;
using namespace muster::logs;

TEST_CASE("the last lines of a text, with and without an end") {
    CHECK(last_lines("a\nb\nc\n", 2) == "b\nc\n");
    CHECK(last_lines("a\nb\nc", 2) == "b\nc");
    CHECK(last_lines("a\nb\n", 5) == "a\nb\n");
    CHECK(last_lines("a\n\n\n", 2) == "\n\n");
    CHECK(last_lines("\n", 1) == "\n");
    CHECK(last_lines("a", 1) == "a");
    CHECK(last_lines("a\nb\n", 0).empty());
    CHECK(last_lines("", 3).empty());
}

TEST_CASE("a ring holds the last bytes and forgets the line that lost its beginning") {
    TailRing ring{16};
    CHECK(ring.last(9).empty());
    CHECK(ring.memory() < 16);  // nothing of its own
    ring.append("one\ntwo\n");
    CHECK(ring.last(9) == "one\ntwo\n");
    ring.append("three\nfour\n");
    CHECK(ring.last(9) == "two\nthree\nfour\n");
    CHECK(ring.last(1) == "four\n");
    ring.append("a line that is longer than the ring");
    CHECK(ring.last(9) == "er than the ring");
    CHECK(ring.bytes_ever() == 54);
}

TEST_CASE("a ring's bytes have their places in all that was ever said; what has gone is left out") {
    TailRing ring{8};
    CHECK(ring.piece(0, 10).empty());
    ring.append("0123456789");
    CHECK(ring.piece(0, 3) == "234");
    CHECK(ring.piece(2, 3) == "234");
    CHECK(ring.piece(5, 100) == "56789");
    CHECK(ring.piece(10, 5).empty());
    CHECK(ring.piece(11, 5).empty());
}

TEST_CASE("a stream that is cleared begins anew, and who follows it goes on") {
    Tails tails;
    tails.append({1, false}, "one");
    CHECK(tails.size({1, false}) == 3);
    CHECK(tails.piece({1, false}, 1, 9) == "ne");
    tails.clear({1, false});
    CHECK(tails.size({1, false}) == 0);
    CHECK(tails.piece({1, false}, 0, 9).empty());
    tails.append({1, false}, "two");
    CHECK(tails.piece({1, false}, 0, 9) == "two");
}

TEST_CASE("whatever the pieces, a ring's end is the text's end") {
    std::mt19937 random{7};
    for (int round = 0; round < 200; ++round) {
        TailRing ring{3000};
        std::string text;
        while (text.size() < 20'000) {
            std::string piece(random() % (round % 2 == 0 ? 50 : 4000), 'x');
            for (char& c : piece)
                c = random() % 20 == 0 ? '\n' : static_cast<char>('a' + random() % 26);
            ring.append(piece);
            text += piece;
        }
        const std::string kept = text.substr(text.size() - 3000);
        const auto end = kept.find('\n');
        REQUIRE(ring.last(100'000) == kept.substr(end + 1));
        REQUIRE(ring.last(5) == last_lines(text, 5));
        REQUIRE(ring.memory() < 3100);
    }
}

namespace {

struct Hears final : Follower {
    std::string text;
    void output(std::string_view bytes) override { text += bytes; }
};

}  // namespace

TEST_CASE("a follower hears what comes after it came, of its stream alone, until it goes") {
    Tails tails;
    const StreamKey out{1, false};
    Hears first;
    Hears second;
    tails.append(out, "before\n");
    tails.follow(out, first);
    tails.append(out, "a");
    tails.follow(out, second);
    tails.append(out, "b\n");
    tails.append({1, true}, "stderr\n");
    tails.append({2, false}, "another's\n");
    tails.forget(out, first);
    tails.append(out, "c\n");
    CHECK(first.text == "ab\n");
    CHECK(second.text == "b\nc\n");
    CHECK(tails.is_followed(out));
    tails.forget(out, second);
    CHECK_FALSE(tails.is_followed(out));
    CHECK(tails.last(out, 2) == "ab\nc\n");
    CHECK(tails.last({9, false}, 2).empty());
}
