#include "logs/capture.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <fstream>
#include <memory>
#include <sstream>
#include <thread>
#include <vector>

#include "base/text.h"
#include "logs/child_output.h"
#include "logs/event_log.h"
#include "reader.h"

using namespace muster;
using namespace muster::logs;
using namespace std::chrono_literals;

namespace {

struct Child {
    UniqueFd out;  // the child's end
    std::unique_ptr<Capture> capture;
    bool is_done = false;

    Child(CaptureTools& tools, const std::string& process, WhenFull when_full = WhenFull::wait) {
        auto pipe = make_pipe();
        REQUIRE(pipe.ok());
        out = std::move(pipe->write);
        capture = std::make_unique<Capture>(tools, CapturedStream{process, {0, false}, when_full},
                                            std::move(pipe->read), [this] {
                                                is_done = true;
                                                capture.reset();  // in its own callback
                                            });
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    void says(std::string_view text) const {
        REQUIRE(write(out.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    }
};

struct Rig {
    loop::Loop loop;
    Reader reader;
    OutputWriter writer{loop, reader.write.get()};
    EventLog log{writer, LogLevel::info};
    Tails tails;
    CaptureTools tools{loop, log, writer, tails};

    // Whoever naps has woken and found nothing more.
    std::string written() {
        some_turns(loop);
        for (int i = 0; i < 3; ++i) {
            bool is_over = false;
            loop::Timer nap{loop, [&] { is_over = true; }};
            nap.arm(loop.now() + 2ms);
            static_cast<void>(eventually(loop, [&] { return is_over; }));
        }
        some_turns(loop);
        return reader.take();
    }
};

std::string contents(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream{path}.rdbuf();
    return text.str();
}

}  // namespace

TEST_CASE("whole lines are passed on with the prefix; the last one too, when it has no end") {
    Rig rig;
    Child child{rig.tools, "shap_00"};
    child.says("one\n\ntwo\nthr");
    CHECK(rig.written() == "shap_00 | one\nshap_00 | \nshap_00 | two\n");
    child.says("ee");
    CHECK(rig.written().empty());
    child.says("!\nfour");
    CHECK(rig.written() == "shap_00 | three!\n");
    child.out.close();
    CHECK(rig.written() == "shap_00 | four\n");
    CHECK(child.is_done);
    CHECK(child.capture == nullptr);
}

TEST_CASE("a child that says nothing ends without a line") {
    Rig rig;
    Child child{rig.tools, "x"};
    child.out.close();
    CHECK(rig.written().empty());
    CHECK(child.is_done);
}

TEST_CASE("colours, zero bytes and invalid text are passed on as they are") {
    Rig rig;
    Child child{rig.tools, "x"};
    const std::string odd("\x1b[31mred\x1b[0m \0 \xff\xfe\r", 19);
    child.says(odd + "\n");
    CHECK(rig.written() == "x | " + odd + "\n");
}

TEST_CASE("a line of 64 KiB stays whole, a longer one comes in pieces, without a byte lost") {
    for (const std::size_t size : {Capture::longest_line, Capture::longest_line + 1,
                                   2 * Capture::longest_line, 5 * Capture::longest_line / 2}) {
        Rig rig;
        Child child{rig.tools, "x"};
        std::string line;
        while (line.size() < size) line += static_cast<char>('a' + line.size() % 26);
        std::string got;
        for (std::size_t at = 0; at < size; at += 30'000) {
            child.says(line.substr(at, 30'000));
            got += rig.written();
        }
        child.says("\nnext\n");
        REQUIRE(eventually(rig.loop, [&] {
            got += rig.reader.take();
            return got.ends_with("x | next\n");
        }));
        std::string joined_pieces;
        auto pieces = split(got, '\n');
        REQUIRE(pieces.back().empty());
        pieces.pop_back();
        REQUIRE(pieces.back() == "x | next");
        pieces.pop_back();
        CHECK(pieces.size() == (size + Capture::longest_line - 1) / Capture::longest_line);
        for (const std::string& piece : pieces) {
            CHECK(piece.size() <= Capture::longest_line + 4);
            joined_pieces += piece.substr(4);
        }
        CHECK(joined_pieces == line);
    }
}

TEST_CASE("I8 I9: while nobody reads us children wait, the loop goes on, and nothing is lost") {
    Rig rig;
    Child first{rig.tools, "first"};
    Child second{rig.tools, "second"};
    constexpr int lines = 60'000;
    const auto flood = [](const UniqueFd& out) {
        for (int i = 0; i < lines;) {
            std::string text;
            for (int n = 0; n < 100; ++n) text += "line " + std::to_string(i++) + "\n";
            for (std::string_view rest = text; !rest.empty();) {
                const ssize_t size = write(out.get(), rest.data(), rest.size());  // blocks
                if (size < 0) return;
                rest.remove_prefix(static_cast<std::size_t>(size));
            }
        }
    };
    std::thread one{[&] {
        flood(first.out);
        first.out.close();
    }};
    std::thread two{[&] {
        flood(second.out);
        second.out.close();
    }};
    REQUIRE(eventually(rig.loop, [&] { return rig.writer.is_full(); }));
    int ticks = 0;
    loop::Timer ticking{rig.loop, [&] {
                            if (++ticks < 20) ticking.arm(rig.loop.now() + 1ms);
                        }};
    ticking.arm(rig.loop.now());
    REQUIRE(eventually(rig.loop, [&] { return ticks == 20; }));
    CHECK(rig.writer.queued() < 2 * OutputWriter::full_at);
    CHECK_FALSE(first.is_done);

    std::string got;
    const bool all = eventually(rig.loop, [&] {
        got += rig.reader.take();
        return first.is_done && second.is_done && rig.writer.queued() == 0;
    });
    one.join();
    two.join();
    REQUIRE(all);
    got += rig.reader.take();
    int next_of_first = 0;
    int next_of_second = 0;
    for (const std::string& line : split(got, '\n')) {
        if (line == "first | line " + std::to_string(next_of_first))
            ++next_of_first;
        else if (line == "second | line " + std::to_string(next_of_second))
            ++next_of_second;
        else
            REQUIRE(line.empty());
    }
    CHECK(next_of_first == lines);
    CHECK(next_of_second == lines);
    CHECK(rig.writer.discarded_bytes() == 0);
}

TEST_CASE("a capture may go while it waits for room, and passes on the line it holds") {
    Rig rig;
    {
        Child child{rig.tools, "x"};
        child.says("held");
        CHECK(rig.written().empty());
        rig.writer.append(std::string(OutputWriter::full_at + 200'000, 'o') + "\n");
        some_turns(rig.loop);
        REQUIRE(rig.writer.is_full());
        child.says("not read any more");
        some_turns(rig.loop);
    }
    std::string got;
    REQUIRE(eventually(rig.loop, [&] {
        got += rig.reader.take();
        return rig.writer.queued() == 0;
    }));
    got += rig.written();
    CHECK(got.ends_with("o\nx | held\n"));
}

TEST_CASE("a child's end of the pipe blocks, ours does not, and none is inherited") {
    const auto pipe = make_pipe();
    REQUIRE(pipe.ok());
    CHECK((fcntl(pipe->read.get(), F_GETFL) & O_NONBLOCK) != 0);
    CHECK((fcntl(pipe->write.get(), F_GETFL) & O_NONBLOCK) == 0);
    CHECK((fcntl(pipe->read.get(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK((fcntl(pipe->write.get(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("a log file is made for its owner and group, and appended to") {
    TemporaryFolder folder;
    const std::string path = folder / "out.log";
    for (const std::string_view text : {"one\n", "two\n"}) {
        const auto file = open_log_file(path);
        REQUIRE(file.ok());
        CHECK((fcntl(file->get(), F_GETFL) & O_NONBLOCK) == 0);
        CHECK((fcntl(file->get(), F_GETFL) & O_APPEND) != 0);
        CHECK((fcntl(file->get(), F_GETFD) & FD_CLOEXEC) != 0);
        REQUIRE(write(file->get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    }
    CHECK(contents(path) == "one\ntwo\n");
    CHECK((std::filesystem::status(path).permissions() & std::filesystem::perms::others_all) ==
          std::filesystem::perms::none);
}

TEST_CASE("a log file that cannot be had is an error that names it, never a wait") {
    TemporaryFolder folder;
    const auto missing = open_log_file(folder / "no/out.log");
    REQUIRE_FALSE(missing.ok());
    CHECK(missing.error().message() ==
          "opening the log file " + (folder / "no/out.log") + ": No such file or directory");
    REQUIRE(mkfifo((folder / "fifo").c_str(), 0600) == 0);
    const auto fifo = open_log_file(folder / "fifo");
    REQUIRE_FALSE(fifo.ok());
    CHECK_FALSE(fifo.error().hint().empty());
}

TEST_CASE("/dev/stdout as a log file is our own descriptor, not opened anew") {
    const auto own = open_log_file("/dev/stdout");
    REQUIRE(own.ok());
    struct stat ours {};
    struct stat given {};
    REQUIRE(fstat(STDOUT_FILENO, &ours) == 0);
    REQUIRE(fstat(own->get(), &given) == 0);
    CHECK(ours.st_ino == given.st_ino);
    CHECK((fcntl(own->get(), F_GETFD) & FD_CLOEXEC) != 0);
}
