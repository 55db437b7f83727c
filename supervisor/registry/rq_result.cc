#include "registry/rq_result.h"

#include <cstdint>

namespace muster::registry {
namespace {

constexpr std::size_t longest = 60'000;  // of one block without compression: 65,535

std::uint32_t adler32(std::string_view text) {
    constexpr std::uint32_t modulus = 65521;
    std::uint32_t low = 1;
    std::uint32_t high = 0;
    for (const char c : text) {
        low = (low + static_cast<unsigned char>(c)) % modulus;
        high = (high + low) % modulus;
    }
    return high << 16 | low;
}

std::string base64(std::string_view bytes) {
    static constexpr std::string_view digits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const std::size_t size = std::min<std::size_t>(3, bytes.size() - i);
        std::uint32_t group = 0;
        for (std::size_t k = 0; k < 3; ++k)
            group = group << 8 | (k < size ? static_cast<unsigned char>(bytes[i + k]) : 0U);
        for (std::size_t k = 0; k < 4; ++k)
            text += k <= size ? digits[group >> (18 - 6 * k) & 63U] : '=';
    }
    return text;
}

}  // namespace

std::string as_exc_string(std::string_view text) {
    text = text.substr(0, longest);
    std::string bytes{'\x78', '\x01', '\x01'};  // zlib, and the last block: stored
    const auto put = [&](std::uint32_t value) { bytes += static_cast<char>(value & 0xFFU); };
    const auto size = static_cast<std::uint32_t>(text.size());
    put(size);
    put(size >> 8);
    put(~size);
    put(~size >> 8);
    bytes += text;
    const std::uint32_t sum = adler32(text);
    for (int shift = 24; shift >= 0; shift -= 8) put(sum >> shift);
    return base64(bytes);
}

}  // namespace muster::registry
