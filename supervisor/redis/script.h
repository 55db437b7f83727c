#pragma once
// A Lua script that Redis runs as one step; its SHA1 is made when muster is built.

#include <string_view>

namespace muster::redis {

struct Script {
    std::string_view body;
    std::string_view sha1;  // 40 hex digits
};

}  // namespace muster::redis
