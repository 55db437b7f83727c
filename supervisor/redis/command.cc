#include "redis/command.h"

#include <hiredis/hiredis.h>

#include <cstdlib>
#include <limits>
#include <vector>

namespace muster::redis {

std::string formatted(std::span<const std::string> argv) {
    std::vector<const char*> starts;
    std::vector<std::size_t> sizes;
    starts.reserve(argv.size());
    sizes.reserve(argv.size());
    for (const auto& argument : argv) {
        starts.push_back(argument.data());
        sizes.push_back(argument.size());
    }
    if (argv.empty() || argv.size() > static_cast<std::size_t>(std::numeric_limits<int>::max()))
        return {};
    char* bytes = nullptr;
    // int in hiredis 0.14, long long since 1.0; negative only without memory.
    const auto size =
        redisFormatCommandArgv(&bytes, static_cast<int>(argv.size()), starts.data(), sizes.data());
    if (size < 0) std::abort();
    std::string text(bytes, static_cast<std::size_t>(size));
    redisFreeCommand(bytes);
    return text;
}

}  // namespace muster::redis
