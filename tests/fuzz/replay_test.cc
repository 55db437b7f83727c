// One fuzz target over its corpus, by any compiler, at each run of the tests: what was found once
// is not found again, and a target that no longer compiles is seen at once. The target's own checks
// abort.

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

TEST_CASE("the corpus of " FUZZ_TARGET) {
    std::size_t inputs = 0;
    for (const auto& entry : std::filesystem::directory_iterator{FUZZ_CORPUS}) {
        INFO(entry.path().string());
        std::ifstream file{entry.path(), std::ios::binary};
        REQUIRE(file.is_open());
        const std::vector<char> bytes{std::istreambuf_iterator<char>{file}, {}};
        CHECK(LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()),
                                     bytes.size()) == 0);
        ++inputs;
    }
    CHECK(inputs > 0);
}
