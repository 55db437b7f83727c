// muster-reference FOLDER: makes the files of files.h anew in the project's folder. For
// `ninja reference`; it is not installed.

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "reference/files.h"

namespace {

std::string content_of(const std::filesystem::path& path) {
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        fmt::print(stderr, "usage: muster-reference FOLDER\n");
        return 2;
    }
    for (const muster::reference::MadeFile& each : muster::reference::made_files()) {
        const std::filesystem::path path = std::filesystem::path{argv[1]} / each.path;
        const std::string present = content_of(path);
        const std::string made = each.make(present);
        if (made == present) continue;
        std::filesystem::create_directories(path.parent_path());
        std::ofstream file{path, std::ios::binary | std::ios::trunc};
        file << made;
        if (!file.flush()) {
            fmt::print(stderr, "muster-reference: {} cannot be written\n", path.string());
            return 1;
        }
        fmt::print("{}\n", each.path);
    }
    return 0;
}
