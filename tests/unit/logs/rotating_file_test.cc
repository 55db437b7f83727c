#include "logs/rotating_file.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "../loop/turns.h"

using namespace muster;
using namespace muster::logs;
namespace fs = std::filesystem;

namespace {

std::string contents(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream{path, std::ios::binary}.rdbuf();
    return text.str();
}

std::string unzipped(const std::string& path) {
    const std::string plain = path + ".plain";
    if (std::system(("gzip -dc " + path + " > " + plain).c_str()) != 0) return "gzip failed";
    return contents(plain);
}

struct Rig {
    TemporaryFolder folder;
    std::string path = folder / "a.log";

    [[nodiscard]] std::unique_ptr<RotatingFile> open(Rotation rotation) const {
        auto file = RotatingFile::open(path, rotation);
        REQUIRE(file.ok());
        return std::move(*file);
    }
    [[nodiscard]] std::string older(int number) const {
        return contents(path + "." + std::to_string(number));
    }
};

}  // namespace

TEST_CASE("a file is rotated between two lines, and only so many older ones are kept") {
    const Rig rig;
    const auto file = rig.open({10, 2, false});
    for (const char* text : {"1111\n", "2222\n", "3333\n4444\n5555", "\n6666\n", "7777\n"}) {
        const auto written = file->write(text, true);
        CHECK(written.error == 0);
        CHECK(written.bytes == std::string_view{text}.size());
    }
    CHECK(contents(rig.path) == "7777\n");
    CHECK(rig.older(1) == "5555\n6666\n");
    CHECK(rig.older(2) == "3333\n4444\n");
    CHECK_FALSE(fs::exists(rig.path + ".3"));
}

TEST_CASE("I9: whatever is written, the files together hold it, cut at lines") {
    std::mt19937 random{3};
    for (int round = 0; round < 20; ++round) {
        const Rig rig;
        const auto file = rig.open({5000, 60, false});
        std::string all;
        while (all.size() < 100'000) {
            std::string piece(random() % 3000, 'x');
            for (char& c : piece) c = random() % 40 == 0 ? '\n' : static_cast<char>(random() % 256);
            const auto written = file->write(piece, true);
            REQUIRE(written.bytes == piece.size());
            all += piece;
        }
        std::string got = contents(rig.path);
        int number = 1;
        for (; fs::exists(rig.path + "." + std::to_string(number)); ++number) {
            const std::string older = rig.older(number);
            REQUIRE(older.ends_with('\n'));
            REQUIRE(older.size() < 5000 + 1000);
            got.insert(0, older);
        }
        REQUIRE(number > 15);
        REQUIRE(got == all);
    }
}

TEST_CASE("a line without an end is cut 64 KiB past the size") {
    const Rig rig;
    const auto file = rig.open({10'000, 100, false});
    const std::string endless(300'000, 'x');
    CHECK(file->write(endless, true).bytes == endless.size());
    CHECK(rig.older(1).size() <= 10'000 + 2 * 65536);
    CHECK(rig.older(1).size() + rig.older(2).size() + contents(rig.path).size() +
              rig.older(3).size() ==
          endless.size());
}

TEST_CASE("what stood in the file before counts, and is kept") {
    const Rig rig;
    { CHECK(rig.open({100, 2, false})->write("before\n", true).bytes == 7); }
    const auto file = rig.open({12, 2, false});
    CHECK(file->write("123456\n", true).bytes == 7);
    CHECK(file->write("next\n", true).bytes == 5);
    CHECK(rig.older(1) == "before\n123456\n");
    CHECK(contents(rig.path) == "next\n");
}

TEST_CASE("without older ones the file begins anew; size 0 never does") {
    const Rig rig;
    const auto file = rig.open({4096, 0, false});
    for (int i = 0; i < 3000; ++i) CHECK(file->write("123456789\n", true).bytes == 10);
    CHECK(contents(rig.path).size() <= 4100);
    CHECK_FALSE(fs::exists(rig.path + ".1"));
    const Rig other;
    const auto endless = other.open({0, 5, false});
    for (int i = 0; i < 3000; ++i) CHECK(endless->write("123456789\n", true).bytes == 10);
    CHECK(contents(other.path).size() == 30'000);
}

TEST_CASE("while the one before is being compressed the file may become twice as large, no more") {
    const Rig rig;
    const auto file = rig.open({100, 3, true});
    CHECK(file->write(std::string(99, 'a') + "\n", false).bytes == 100);
    CHECK(file->write(std::string(99, 'b') + "\n", false).bytes == 100);
    const auto waits = file->write("c\n", false);
    CHECK(waits.must_wait);
    CHECK(waits.bytes == 0);
    const auto rotated = file->write("c\n", true);
    CHECK(rotated.has_rotated);
    CHECK(rotated.bytes == 2);
    CHECK(file->compress_newest().ok());
    CHECK_FALSE(fs::exists(rig.path + ".1"));
    CHECK(unzipped(rig.path + ".1.gz") ==
          std::string(99, 'a') + "\n" + std::string(99, 'b') + "\n");
    CHECK(file->write(std::string(200, 'd') + "\n", true).bytes == 201);
    CHECK(file->write("e\n", true).has_rotated);
    CHECK(unzipped(rig.path + ".2.gz").size() == 200);
    CHECK(rig.older(1) == "c\n" + std::string(200, 'd') + "\n");
}

TEST_CASE("a removed file, or folder, is made again") {
    const Rig rig;
    auto opened = RotatingFile::open(rig.folder / "x.log", {});
    REQUIRE(opened.ok());
    fs::create_directories(rig.folder / "d/e");
    opened = RotatingFile::open(rig.folder / "d/e/x.log", {});
    REQUIRE(opened.ok());
    CHECK((*opened)->write("one\n", true).bytes == 4);
    fs::remove_all(rig.folder / "d");
    const auto written = (*opened)->write("two\n", true);
    CHECK(written.is_new_again);
    CHECK(written.bytes == 4);
    CHECK(contents(rig.folder / "d/e/x.log") == "two\n");
    // It cannot be made again: nothing is written, nothing is said to be.
    fs::remove_all(rig.folder / "d");
    std::ofstream{rig.folder / "d"} << "a file";
    const auto refused = (*opened)->write("three\n", true);
    CHECK(refused.error != 0);
    CHECK(refused.bytes == 0);
    fs::remove(rig.folder / "d");
    CHECK((*opened)->write("three\n", true).bytes == 6);
    CHECK(contents(rig.folder / "d/e/x.log") == "three\n");
}

TEST_CASE("one that was moved stays the mover's until it is reopened") {
    const Rig rig;
    const auto file = rig.open({});
    CHECK(file->write("one\n", true).bytes == 4);
    fs::rename(rig.path, rig.path + ".moved");
    CHECK(file->write("two\n", true).bytes == 4);
    CHECK(file->reopen().ok());
    CHECK(file->write("three\n", true).bytes == 6);
    CHECK(contents(rig.path + ".moved") == "one\ntwo\n");
    CHECK(contents(rig.path) == "three\n");
}

TEST_CASE("a rotation that fails is told, and the file goes on growing") {
    const Rig rig;
    const auto file = rig.open({10, 1, false});
    fs::create_directories(rig.path + ".1/in-the-way");
    CHECK(file->write("123456789\n", true).error == 0);
    const auto written = file->write("next\n", true);
    REQUIRE(written.not_rotated);
    CHECK(written.bytes == 5);
    CHECK(written.not_rotated->message().starts_with("rotating the log file " + rig.path + ": "));
    CHECK_FALSE(file->write("x\n", true).not_rotated);  // not again at once
    CHECK(contents(rig.path) == "123456789\nnext\nx\n");
}

TEST_CASE("a full device is an error that says what was written") {
    auto full = RotatingFile::open("/dev/full", {});
    REQUIRE(full.ok());
    const auto written = (*full)->write("x", true);
    CHECK(written.error == ENOSPC);
    CHECK(written.bytes == 0);
}

TEST_CASE("the tail goes on into the file before") {
    const Rig rig;
    const auto file = rig.open({10, 2, false});
    CHECK(file->write("one\ntwo\nthree\nfour\nfive\n", true).error == 0);
    CHECK(file->tail(10) == "four\nfive\n");
    CHECK(file->tail(1000).ends_with("three\nfour\nfive\n"));
    CHECK(file->tail(3) == "ve\n");
}
