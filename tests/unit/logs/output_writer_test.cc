#include "logs/output_writer.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "loop/timer.h"
#include "reader.h"

using namespace muster;
using namespace muster::logs;
using namespace std::chrono_literals;

TEST_CASE("all lines of a turn are written together, at its end") {
    loop::Loop loop;
    Reader reader;
    OutputWriter writer{loop, reader.write.get()};
    loop::Timer turn{loop, [&] {
                         writer.append("one\n");
                         writer.append("two\n");
                         CHECK(reader.take().empty());
                     }};
    turn.arm(loop.now());
    REQUIRE(eventually(loop, [&] { return reader.take() == "one\ntwo\n"; }));
    CHECK(writer.queued() == 0);
}

TEST_CASE("the descriptor that others share stays blocking, even while we wait for it") {
    loop::Loop loop;
    Reader reader;
    OutputWriter writer{loop, reader.write.get()};
    writer.append(std::string(500'000, 'x'));
    some_turns(loop);
    CHECK(writer.queued() > 0);
    CHECK((fcntl(reader.write.get(), F_GETFL) & O_NONBLOCK) == 0);
}

TEST_CASE("I8 I9: a reader that does not read holds up nobody, and misses nothing in the end") {
    loop::Loop loop;
    Reader reader;
    OutputWriter writer{loop, reader.write.get()};
    int ticks = 0;
    std::string sent;
    loop::Timer ticking{loop, [&] {
                            for (int i = 0; i < 500; ++i) {
                                const std::string line = "line " + std::to_string(sent.size());
                                sent += line + "\n";
                                writer.append(line + "\n");
                            }
                            if (++ticks < 60) ticking.arm(loop.now());
                        }};
    ticking.arm(loop.now());
    REQUIRE(eventually(loop, [&] { return ticks == 60; }));
    CHECK(writer.queued() > 100'000);
    CHECK(writer.is_full());
    std::string got;
    REQUIRE(eventually(loop, [&] {
        got += reader.take();
        return got.size() >= sent.size();
    }));
    CHECK(got == sent);
    CHECK(writer.queued() == 0);
    CHECK(writer.discarded_bytes() == 0);
}

TEST_CASE("nothing is lost through the small writes that older kernels need") {
    loop::Loop loop;
    Reader reader;
    OutputWriter writer{loop, reader.write.get(), OutputWriter::PipeWrites::small};
    std::string sent;
    for (int i = 0; sent.size() < 400'000; ++i) sent += std::to_string(i) + "\n";
    writer.append(sent);
    std::string got;
    REQUIRE(eventually(loop, [&] {
        got += reader.take();
        return got.size() >= sent.size();
    }));
    CHECK(got == sent);
}

TEST_CASE("a waiting loop sleeps: a full pipe makes no turns") {
    loop::Loop loop;
    Reader reader;
    OutputWriter writer{loop, reader.write.get()};
    writer.append(std::string(500'000, 'x'));
    some_turns(loop);
    bool late = false;
    loop::Timer limit{loop, [&] { late = true; }};
    limit.arm(loop.now() + 20ms);
    int turns = 0;
    while (!late) {
        uv_run(loop.raw(), UV_RUN_ONCE);
        ++turns;
    }
    CHECK(turns <= 3);
}

TEST_CASE("a socket and a file are written too") {
    loop::Loop loop;
    SUBCASE("socket") {
        int ends[2];
        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
        Reader reader{UniqueFd{ends[0]}, UniqueFd{ends[1]}};
        OutputWriter writer{loop, reader.write.get()};
        const std::string sent(1'000'000, 's');
        writer.append(sent);
        some_turns(loop);
        CHECK(writer.queued() > 0);
        CHECK((fcntl(reader.write.get(), F_GETFL) & O_NONBLOCK) == 0);
        std::string got;
        CHECK(eventually(loop, [&] {
            got += reader.take();
            return got == sent;
        }));
    }
    SUBCASE("file") {
        TemporaryFolder folder;
        const UniqueFd file{
            open((folder / "out").c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600)};
        OutputWriter writer{loop, file.get()};
        writer.append(std::string(1'000'000, 'f'));
        some_turns(loop);
        CHECK(writer.queued() == 0);
        CHECK(std::filesystem::file_size(folder / "out") == 1'000'000);
    }
    SUBCASE("/dev/null") {
        const UniqueFd null{open("/dev/null", O_WRONLY | O_CLOEXEC)};
        OutputWriter writer{loop, null.get()};
        writer.append("gone");
        some_turns(loop);
        CHECK(writer.queued() == 0);
    }
}

TEST_CASE("a terminal is written too") {
    loop::Loop loop;
    UniqueFd master{posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)};
    REQUIRE(master.is_open());
    REQUIRE(grantpt(master.get()) == 0);
    REQUIRE(unlockpt(master.get()) == 0);
    UniqueFd terminal{open(ptsname(master.get()), O_RDWR | O_NOCTTY | O_CLOEXEC)};
    REQUIRE(terminal.is_open());
    Reader reader{std::move(master), std::move(terminal)};
    OutputWriter writer{loop, reader.write.get()};
    const std::string sent(100'000, 't');
    writer.append(sent);
    some_turns(loop);
    CHECK(writer.queued() > 0);  // nobody reads: it waits
    std::string got;
    CHECK(eventually(loop, [&] {
        got += reader.take();
        return got == sent;
    }));
}

TEST_CASE("a full disk is tried again, and nothing is lost meanwhile") {
    const UniqueFd full{open("/dev/full", O_WRONLY | O_CLOEXEC)};
    REQUIRE(full.is_open());
    loop::Loop loop;
    OutputWriter writer{loop, full.get()};
    writer.append("kept");
    some_turns(loop);
    CHECK(writer.queued() == 4);
    CHECK(writer.discarded_bytes() == 0);
    CHECK_FALSE(writer.finish(1s));  // at once, no second of waiting for what cannot change
}

TEST_CASE("when the reader is gone for good, text is discarded and counted, and waiters go on") {
    loop::Loop loop;
    Reader reader;
    OutputWriter writer{loop, reader.write.get()};
    struct Patient final : OutputWriter::Waiter {
        int calls = 0;
        void output_drained() override { ++calls; }
    };
    Patient patient;
    writer.append(std::string(300'000, 'x'));
    some_turns(loop);
    const std::size_t left = writer.queued();
    CHECK(left > 0);
    writer.wait_for_room(patient);
    some_turns(loop);
    CHECK(patient.calls == 0);
    reader.read.close();
    REQUIRE(eventually(loop, [&] { return patient.calls == 1; }));
    writer.append("more");
    some_turns(loop);
    CHECK(writer.queued() == 0);
    CHECK(writer.discarded_bytes() == left + 4);
}

TEST_CASE("finish writes what is left without a loop, and gives up in time") {
    loop::Loop loop;
    Reader reader;
    OutputWriter writer{loop, reader.write.get()};
    writer.append("the last line\n");
    CHECK(writer.finish(1s));
    CHECK(reader.take() == "the last line\n");
    writer.append(std::string(500'000, 'x'));
    const TimePoint before = loop.now();
    CHECK_FALSE(writer.finish(30ms));
    CHECK(loop.now() - before >= 30ms);
    CHECK(writer.queued() > 0);
}
