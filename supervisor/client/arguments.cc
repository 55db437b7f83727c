#include "client/arguments.h"

#include <algorithm>
#include <string_view>

namespace muster::client {

void hide_secrets(std::span<char> argument) {
    const std::string_view text{argument.data(), argument.size()};
    const std::size_t scheme = text.find("://");
    if (scheme == std::string_view::npos) return;
    const std::size_t begin = scheme + 3;
    const auto hide = [&](std::size_t from, std::size_t to) {
        std::ranges::fill(argument.subspan(from, to - from), '*');
    };
    // The last one: in a password that was not escaped there may be more.
    const std::size_t at = text.rfind('@');
    if (at != std::string_view::npos && at > begin) hide(begin, at);
    const std::size_t query = text.find('?', begin);
    if (query != std::string_view::npos) hide(query + 1, text.size());
}

}  // namespace muster::client
