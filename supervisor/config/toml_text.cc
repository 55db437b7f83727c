#include "config/toml_text.h"

#include <fmt/format.h>

namespace muster::config {

std::string toml_string(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        switch (c) {
            case '"':
                out += "\\\"";
                break;
            case '\\':
                out += "\\\\";
                break;
            case '\n':
                out += "\\n";
                break;
            case '\r':
                out += "\\r";
                break;
            case '\t':
                out += "\\t";
                break;
            default:
                if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
                    out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
                else
                    out += c;
        }
    }
    return out + '"';
}

std::string toml_array(const std::vector<std::string>& texts) {
    std::string out = "[";
    for (const std::string& each : texts) {
        if (out.size() > 1) out += ", ";
        out += toml_string(each);
    }
    return out + "]";
}

std::string toml_key(std::string_view key) {
    constexpr std::string_view bare =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    if (!key.empty() && key.find_first_not_of(bare) == std::string_view::npos)
        return std::string(key);
    return toml_string(key);
}

std::string toml_comment(const std::vector<std::string>& lines) {
    std::string out;
    for (const std::string& line : lines) {
        out += "# ";
        // A comment may hold no control character but the tab (TOML 1.0, Comment).
        for (const char c : line)
            out += (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f ? ' ' : c;
        out += '\n';
    }
    return out;
}

}  // namespace muster::config
