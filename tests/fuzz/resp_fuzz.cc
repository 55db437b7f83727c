// Any bytes, cut anywhere: the reader of Redis' answers stays within its limits and never crashes.
// The first byte says how the rest is cut.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "redis/reply.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::size_t step = data[0] % 17 + 1;
    std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
    muster::redis::ReplyReader reader({.depth = 4, .elements = 64, .bytes = 1024});
    while (!rest.empty()) {
        const auto part = rest.substr(0, step);
        rest.remove_prefix(part.size());
        if (!reader.feed(part)) return 0;
        for (;;) {
            const auto reply = reader.next();
            if (!reply) return 0;
            if (!*reply) break;
        }
    }
    return 0;
}
