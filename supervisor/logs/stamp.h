#pragma once

#include <ctime>
#include <string>
#include <string_view>

namespace muster::logs {

// "2026-05-16T01:24:48.287Z" of now, for thousands of lines a second: the part up to the second is
// made once in it.
class Stamp {
public:
    std::string_view now();  // until the next call

private:
    std::string text_;
    std::time_t second_ = -1;
};

}  // namespace muster::logs
