#pragma once
// JSON, appended to one string: a status of 100 processes must not cost what building a tree of
// 2000 nodes costs. Commas are put where they belong; nesting is the caller's.

#include <fmt/format.h>

#include <concepts>
#include <cstddef>
#include <iterator>
#include <string>
#include <string_view>

#include "base/time.h"

namespace muster::control {

class JsonWriter {
public:
    void begin_object() { open('{'); }
    void end_object() { text_ += '}'; }
    void begin_array() { open('['); }
    void end_array() { text_ += ']'; }

    void key(std::string_view name) {  // needs no escaping
        comma();
        text_ += '"';
        text_ += name;
        text_ += "\":";
    }

    void string(std::string_view value) {
        comma();
        text_ += '"';
        escape(value);
        text_ += '"';
    }
    void number(std::integral auto value) {
        comma();
        const fmt::format_int digits(value);
        text_.append(digits.data(), digits.size());
    }
    void seconds(Duration value) {  // with milliseconds
        comma();
        fmt::format_to(std::back_inserter(text_), "{:.3f}",
                       std::chrono::duration<double>(value).count());
    }
    void boolean(bool value) { literal(value ? "true" : "false"); }
    void null() { literal("null"); }

    [[nodiscard]] std::string take() { return std::move(text_); }

private:
    void open(char bracket) {
        comma();
        text_ += bracket;
    }
    void literal(std::string_view word) {
        comma();
        text_ += word;
    }
    void comma() {
        if (text_.empty()) return;
        const char last = text_.back();
        if (last != '{' && last != '[' && last != ':') text_ += ',';
    }

    void escape(std::string_view value) {
        std::size_t plain = 0;  // where the run begins that is copied as it is
        std::size_t at = 0;
        while (at < value.size()) {
            const auto byte = static_cast<unsigned char>(value[at]);
            if (byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\') {
                ++at;
                continue;
            }
            const std::size_t length = byte < 0x80 ? 0 : sequence_length(value.substr(at));
            if (length > 0) {
                at += length;
                continue;
            }
            text_ += value.substr(plain, at - plain);
            escape_byte(byte);
            plain = ++at;
        }
        text_ += value.substr(plain);
    }

    void escape_byte(unsigned char byte) {
        switch (byte) {
            case '"':
                text_ += "\\\"";
                break;
            case '\\':
                text_ += "\\\\";
                break;
            case '\n':
                text_ += "\\n";
                break;
            case '\r':
                text_ += "\\r";
                break;
            case '\t':
                text_ += "\\t";
                break;
            default:
                if (byte >= 0x80)
                    text_ += "\xef\xbf\xbd";  // U+FFFD for each byte that is not UTF-8
                else
                    fmt::format_to(std::back_inserter(text_), "\\u{:04x}", byte);
        }
    }

    // Of the valid UTF-8 sequence that the text begins with; 0 where it is none: too short,
    // overlong, a surrogate, beyond U+10FFFF.
    static std::size_t sequence_length(std::string_view text) {
        const auto byte = [&](std::size_t i) {
            return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
        };
        const auto continues = [&](std::size_t i) { return (byte(i) & 0xc0U) == 0x80; };
        const unsigned first = byte(0);
        if (first >= 0xc2 && first <= 0xdf) return continues(1) ? 2 : 0;
        if (first >= 0xe0 && first <= 0xef) {
            const unsigned least = first == 0xe0 ? 0xa0 : 0x80;
            const unsigned most = first == 0xed ? 0x9f : 0xbf;
            return byte(1) >= least && byte(1) <= most && continues(2) ? 3 : 0;
        }
        if (first >= 0xf0 && first <= 0xf4) {
            const unsigned least = first == 0xf0 ? 0x90 : 0x80;
            const unsigned most = first == 0xf4 ? 0x8f : 0xbf;
            return byte(1) >= least && byte(1) <= most && continues(2) && continues(3) ? 4 : 0;
        }
        return 0;
    }

    std::string text_;
};

}  // namespace muster::control
