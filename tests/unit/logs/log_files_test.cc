#include "logs/log_files.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "base/text.h"
#include "logs/child_output.h"
#include "logs/event_log.h"
#include "logs/file_capture.h"
#include "logs/pumping.h"
#include "reader.h"

using namespace muster;
using namespace muster::logs;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

std::string contents(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream{path, std::ios::binary}.rdbuf();
    return text.str();
}

struct Rig {
    TemporaryFolder folder;
    loop::Loop loop;
    Reader reader;
    OutputWriter writer{loop, reader.write.get()};
    EventLog log{writer, LogLevel::info};
    Tails tails;
    CaptureTools tools{loop, log, writer, tails};
    LogFiles files{tools};
    std::string told;

    LogFile& file(const std::string& path, Rotation rotation = {}) {
        auto opened = files.open(path, rotation, {});
        REQUIRE(opened.ok());
        return **opened;
    }
    bool says(std::string_view word) {
        told += reader.take();
        return told.find(word) != std::string::npos;
    }
};

struct Child {
    UniqueFd out;
    std::unique_ptr<FileCapture> capture;
    bool is_done = false;

    Child(Rig& rig, LogFile& file, std::uint32_t number = 0, WhenFull when_full = WhenFull::wait) {
        auto pipe = make_pipe();
        REQUIRE(pipe.ok());
        out = std::move(pipe->write);
        capture = std::make_unique<FileCapture>(rig.tools, file,
                                                CapturedStream{"p", {number, false}, when_full},
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
    // From a thread: blocks when the pipe is full.
    void floods(int lines, std::string_view word) {
        for (int i = 0; i < lines; ++i) {
            const std::string line = std::string(word) + " " + std::to_string(i) + "\n";
            for (std::string_view rest = line; !rest.empty();) {
                const ssize_t size = write(out.get(), rest.data(), rest.size());
                if (size < 0) return;
                rest.remove_prefix(static_cast<std::size_t>(size));
            }
        }
        out.close();
    }
};

// A disk that hangs: nobody reads this FIFO, so a write blocks once it is full.
struct HangingDisk {
    std::string path;
    UniqueFd reader;
    explicit HangingDisk(const std::string& at) : path(at) {
        REQUIRE(mkfifo(path.c_str(), 0600) == 0);
        reader = UniqueFd{open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)};
    }
    std::string recover() const {
        std::string got;
        std::array<char, 65536> room{};
        for (;;) {
            const ssize_t size = read(reader.get(), room.data(), room.size());
            if (size <= 0) return got;
            got.append(room.data(), static_cast<std::size_t>(size));
        }
    }
};

}  // namespace

TEST_CASE("output goes to the file as it is, up to the last byte, and the last of it is kept") {
    Rig rig;
    LogFile& file = rig.file(rig.folder / "a.log");
    Child child{rig, file};
    const std::string odd("no \0 end\xff\x1b[31m\nlast", 19);
    child.says(odd);
    REQUIRE(eventually(rig.loop, [&] { return contents(rig.folder / "a.log") == odd; }));
    child.says("!");
    child.out.close();
    REQUIRE(eventually(rig.loop, [&] { return child.is_done; }));
    CHECK(contents(rig.folder / "a.log") == odd + "!");
    CHECK(rig.tails.last({0, false}, 1) == "last!");
    CHECK(rig.files.count() == 0);  // nobody uses it any more
}

TEST_CASE("I9: two floods into one file that rotates lose nothing, and their lines stay whole") {
    Rig rig;
    constexpr int lines = 30'000;
    LogFile& file = rig.file(rig.folder / "a.log", {200'000, 50, false});
    REQUIRE(&file == &rig.file(rig.folder / "a.log"));
    Child first{rig, file, 0};
    Child second{rig, file, 1};
    std::thread one{[&] { first.floods(lines, "first"); }};
    std::thread two{[&] { second.floods(lines, "second"); }};
    const bool all = eventually(rig.loop, [&] { return first.is_done && second.is_done; });
    one.join();
    two.join();
    REQUIRE(all);
    std::string got = contents(rig.folder / "a.log");
    for (int i = 1; fs::exists(rig.folder / ("a.log." + std::to_string(i))); ++i)
        got.insert(0, contents(rig.folder / ("a.log." + std::to_string(i))));
    int next_of_first = 0;
    int next_of_second = 0;
    for (const std::string& line : split(got, '\n')) {
        if (line == "first " + std::to_string(next_of_first))
            ++next_of_first;
        else if (line == "second " + std::to_string(next_of_second))
            ++next_of_second;
        else
            REQUIRE(line.empty());
    }
    CHECK(next_of_first == lines);
    CHECK(next_of_second == lines);
    CHECK_FALSE(fs::exists(rig.folder / "a.log.1.gz"));
}

TEST_CASE("I9: a line whose beginning fills the buffer is whole, though another comes between") {
    constexpr std::size_t size = Pumping::buffer_size;
    Rig rig;
    LogFile& file = rig.file(rig.folder / "a.log", {.size = 0});
    REQUIRE(&file == &rig.file(rig.folder / "a.log"));
    Child first{rig, file, 0};
    Child second{rig, file, 1};
    REQUIRE(fcntl(first.out.get(), F_SETPIPE_SZ, 2 * size) > 0);
    std::string lines;
    while (lines.size() < size) lines += "a line\n";
    const std::string_view all = lines;
    first.says(all.substr(0, size));
    REQUIRE(!all.substr(0, size).ends_with('\n'));
    REQUIRE(eventually(rig.loop, [&] { return !contents(rig.folder / "a.log").empty(); }));
    second.says("other\n");
    REQUIRE(eventually(rig.loop, [&] {
        return contents(rig.folder / "a.log").find("other\n") != std::string::npos;
    }));
    first.says(all.substr(size));
    const std::size_t last = all.rfind('\n', size - 1) + 1;
    const std::string wanted = lines.substr(0, last) + "other\n" + lines.substr(last);
    CHECK(eventually(rig.loop, [&] { return contents(rig.folder / "a.log") == wanted; }));
}

TEST_CASE("I9: a flood into a file that is compressed when it rotates loses nothing") {
    Rig rig;
    constexpr int lines = 60'000;
    LogFile& file = rig.file(rig.folder / "a.log", {100'000, 50, true});
    Child child{rig, file};
    std::thread one{[&] { child.floods(lines, "line"); }};
    const bool all = eventually(rig.loop, [&] { return child.is_done && rig.files.count() == 0; });
    one.join();
    REQUIRE(all);
    REQUIRE(std::system(("cd " + (rig.folder / "") +
                         "; for i in $(ls a.log.*.gz | sed 's/.*log.//; s/.gz//' | sort -rn); do "
                         "gzip -dc a.log.$i.gz; done > all; cat a.log >> all")
                            .c_str()) == 0);
    std::string expected;
    for (int i = 0; i < lines; ++i) expected += "line " + std::to_string(i) + "\n";
    CHECK(contents(rig.folder / "all") == expected);
    CHECK_FALSE(fs::exists(rig.folder / "a.log.1"));
    CHECK(fs::exists(rig.folder / "a.log.2.gz"));
}

TEST_CASE("I8 I9: a disk that hangs stops its own writers, is named, and loses nothing") {
    Rig rig;
    const HangingDisk disk{rig.folder / "hangs"};
    constexpr int lines = 60'000;
    {
        Child hanging{rig, rig.file(disk.path), 0};
        Child other{rig, rig.file(rig.folder / "good.log"), 1};
        std::thread flood{[&] { hanging.floods(lines, "line"); }};
        REQUIRE(eventually(rig.loop, [&] { return rig.says("log-file-slow path=" + disk.path); }));
        other.says("goes on\n");
        CHECK(
            eventually(rig.loop, [&] { return contents(rig.folder / "good.log") == "goes on\n"; }));
        std::string got;
        const bool is_done = eventually(rig.loop, [&] {
            got += disk.recover();
            return hanging.is_done;
        });
        flood.join();
        REQUIRE(is_done);
        got += disk.recover();
        CHECK(rig.says("log-file-back path=" + disk.path));
        std::string expected;
        for (int i = 0; i < lines; ++i) expected += "line " + std::to_string(i) + "\n";
        CHECK(got == expected);
    }
}

TEST_CASE("I9: with overflow = drop a disk that hangs costs output, which is counted, not time") {
    Rig rig;
    const HangingDisk disk{rig.folder / "hangs"};
    Child child{rig, rig.file(disk.path), 0, WhenFull::drop};
    constexpr int lines = 40'000;  // more than twice what pipes and buffers hold
    const std::string word(100, 'w');
    std::thread flood{[&] { child.floods(lines, word); }};
    const bool has_dropped = eventually(rig.loop, [&] { return !child.out.is_open(); });
    flood.join();
    REQUIRE(has_dropped);
    std::string got;
    REQUIRE(eventually(rig.loop, [&] {
        got += disk.recover();
        return child.is_done;
    }));
    got += disk.recover();
    std::size_t all = 0;
    for (int i = 0; i < lines; ++i) all += (word + " " + std::to_string(i) + "\n").size();
    const auto counted = [&] {
        std::size_t sum = 0;
        for (const std::string& line : split(rig.told, '\n')) {
            constexpr std::string_view before = "output-dropped process=p stream=stdout bytes=";
            const auto at = line.find(before);
            if (at != std::string::npos)
                sum += std::strtoull(line.c_str() + at + before.size(), nullptr, 10);
        }
        return sum;
    };
    CHECK(eventually(rig.loop, [&] { return rig.says("") && got.size() + counted() == all; }));
    CHECK(got.size() < all / 2);
}

TEST_CASE("a full disk is named once, and tried again; nothing is lost") {
    Rig rig;
    // A link, so that the path can be made good.
    fs::create_symlink("/dev/full", rig.folder / "a.log");
    LogFile& file = rig.file(rig.folder / "a.log");
    Child child{rig, file};
    child.says("one\n");
    REQUIRE(eventually(rig.loop, [&] { return rig.says("log-file-failed path="); }));
    CHECK(rig.told.find("No space left on device") != std::string::npos);
    child.says("two\n");
    some_turns(rig.loop);
    fs::remove(rig.folder / "a.log");
    file.reopen();  // as an operator would by USR2
    REQUIRE(eventually(rig.loop, [&] { return contents(rig.folder / "a.log") == "one\ntwo\n"; }));
    REQUIRE(eventually(rig.loop, [&] { return rig.says("log-file-back path="); }));
    CHECK(rig.told.find("log-file-failed") == rig.told.rfind("log-file-failed"));
}

TEST_CASE("the tail of a file and what follows it fit together") {
    struct Hears final : Follower {
        std::string text;
        void output(std::string_view bytes) override { text += bytes; }
    };
    Rig rig;
    LogFile& file = rig.file(rig.folder / "a.log");
    Child child{rig, file};
    Hears hears;
    constexpr int lines = 20'000;
    std::thread flood{[&] { child.floods(lines, "line"); }};
    bool is_asked = false;
    const bool is_done = eventually(rig.loop, [&] {
        if (!is_asked && fs::file_size(rig.folder / "a.log") > 1000) {
            is_asked = true;
            file.tail(300, [&](const std::optional<std::string>& text) {
                hears.text = text.value_or("");
                rig.tails.follow({0, false}, hears);
            });
        }
        return child.is_done;
    });
    flood.join();
    REQUIRE(is_done);
    REQUIRE(hears.text.size() > 300);
    CHECK(contents(rig.folder / "a.log").ends_with(hears.text));
    CHECK(hears.text.ends_with("line 19999\n"));
}

TEST_CASE("a part of a log is read by its place, whether somebody writes there or not") {
    Rig rig;
    const std::string path = rig.folder / "a.log";
    std::vector<FilePiece> read;
    const auto ask = [&] {
        rig.files.read(
            path,
            [](std::uint64_t size) {
                return FileSlice{size - std::min<std::uint64_t>(size, 4), 3};
            },
            [&](std::optional<FilePiece> piece) { read.push_back(piece.value()); });
        const std::size_t count = read.size();
        REQUIRE(eventually(rig.loop, [&] { return read.size() > count; }));
        return read.back();
    };
    CHECK(ask().error == ENOENT);
    std::ofstream{path} << "0123456789";
    FilePiece piece = ask();
    CHECK(piece.text == "678");
    CHECK(piece.size == 10);
    Child child{rig, rig.file(path)};
    child.says("abc");
    REQUIRE(eventually(rig.loop, [&] { return contents(path).size() == 13; }));
    piece = ask();
    CHECK(piece.text == "9ab");
    CHECK(piece.size == 13);
    child.out.close();
    REQUIRE(eventually(rig.loop, [&] { return child.is_done; }));
    CHECK(rig.files.count() == 0);
    CHECK(ask().text == "9ab");
}

TEST_CASE("a log that is cleared while it is written begins anew, and loses nothing that follows") {
    Rig rig;
    const std::string path = rig.folder / "a.log";
    std::optional<int> error;
    const auto clear = [&] {
        error.reset();
        rig.files.clear(path, [&](std::optional<int> code) { error = code.value(); });
        return eventually(rig.loop, [&] { return error.has_value(); }) ? *error : -1;
    };
    CHECK(clear() == 0);  // nothing is there
    Child child{rig, rig.file(path)};
    child.says("old");
    REQUIRE(eventually(rig.loop, [&] { return contents(path) == "old"; }));
    CHECK(clear() == 0);
    CHECK(contents(path).empty());
    child.says("new");
    child.out.close();
    REQUIRE(eventually(rig.loop, [&] { return child.is_done; }));
    CHECK(contents(path) == "new");
    CHECK(clear() == 0);
    CHECK_FALSE(fs::exists(path));
}

TEST_CASE("I8: who reads a log while a disk hangs is answered within seconds") {
    Rig rig;
    const HangingDisk one{rig.folder / "one"};
    const HangingDisk two{rig.folder / "two"};
    Child first{rig, rig.file(one.path), 0};
    Child second{rig, rig.file(two.path), 1};
    std::thread flood{[&] { first.floods(60'000, "word"); }};
    std::thread other_flood{[&] { second.floods(60'000, "word"); }};
    const bool is_slow = eventually(rig.loop, [&] {
        return rig.says("log-file-slow path=" + one.path) &&
               rig.says("log-file-slow path=" + two.path);
    });
    std::optional<bool> answer;
    rig.files.read(
        rig.folder / "other.log",
        [](std::uint64_t size) {
            return FileSlice{0, size};
        },
        [&](const std::optional<FilePiece>& piece) { answer = piece.has_value(); });
    const bool is_answered = eventually(rig.loop, [&] { return answer.has_value(); });
    const bool is_done = eventually(rig.loop, [&] {
        static_cast<void>(one.recover());
        static_cast<void>(two.recover());
        return first.is_done && second.is_done;
    });
    flood.join();
    other_flood.join();
    CHECK(is_slow);
    REQUIRE(is_answered);
    CHECK_FALSE(*answer);  // two threads are held: the third is not for this
    CHECK(is_done);
}

TEST_CASE("a log file that cannot be had is an error, not a file that fails later") {
    Rig rig;
    CHECK(rig.files.open(rig.folder / "no/a.log", {}, {})
              .error()
              .message()
              .starts_with("opening the log file"));
    CHECK(rig.files.count() == 0);
}
