#include "reference/files.h"

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <string>

namespace muster::reference {
namespace {

std::string content_of(const std::string& path) {
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
}

TEST_CASE("the files in git are what the sources make; else: ninja reference") {
    for (const MadeFile& each : made_files()) {
        const std::string present = content_of(std::string(SOURCES "/") + each.path);
        CHECK_MESSAGE(!present.empty(), each.path);
        CHECK_MESSAGE(each.make(present) == present, each.path << " is not what the sources make");
    }
}

TEST_CASE("of README.md only the part between the marks is made") {
    const auto readme = made_files().back();
    CHECK(readme.make("no marks") == "no marks");
    const std::string made = readme.make(
        "before\n<!-- verbs: made from the sources -->\nold\n<!-- end of verbs -->\nafter\n");
    CHECK(made.starts_with("before\n"));
    CHECK(made.ends_with("<!-- end of verbs -->\nafter\n"));
    CHECK(made.find("old") == made.npos);
    CHECK(made.find("muster roll SEL...") != made.npos);
}

}  // namespace
}  // namespace muster::reference
