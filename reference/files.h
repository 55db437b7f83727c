#pragma once
// The files that are made from the sources and kept beside them.

#include <functional>
#include <string>
#include <vector>

namespace muster::reference {

struct MadeFile {
    const char* path;  // in the project's folder
    // From what is there now: of README.md only a part is made.
    std::function<std::string(const std::string& present)> make;
};

std::vector<MadeFile> made_files();

}  // namespace muster::reference
