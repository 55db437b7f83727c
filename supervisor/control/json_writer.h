#pragma once
// JSON, appended to one string: a status of 100 processes must not cost what building a tree of
// 2000 nodes costs. Commas are put where they belong; nesting is the caller's.

#include <fmt/format.h>

#include <concepts>
#include <cstddef>
#include <iterator>
#include <string>
#include <string_view>

#include "base/text.h"
#include "base/time.h"

namespace muster::control {

class JsonWriter {
public:
    // Room for that many bytes, where it can be guessed.
    void reserve(std::size_t bytes) { text_.reserve(bytes); }

    void begin_object() { open('{'); }
    void end_object() { close('}'); }
    void begin_array() { open('['); }
    void end_array() { close(']'); }

    void key(std::string_view name) {  // needs no escaping
        comma();
        text_.append("\"", 1).append(name).append("\":", 2);
        wants_comma_ = false;
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
    void seconds(Duration value) {  // with milliseconds; never negative
        using std::chrono::milliseconds;
        const auto millis = std::chrono::round<milliseconds>(value).count();
        number(millis / 1000);
        const auto rest = millis % 1000;
        const char fraction[] = {'.', static_cast<char>('0' + rest / 100),
                                 static_cast<char>('0' + rest / 10 % 10),
                                 static_cast<char>('0' + rest % 10)};
        text_.append(fraction, sizeof fraction);
    }
    void boolean(bool value) { literal(value ? "true" : "false"); }
    void null() { literal("null"); }

    [[nodiscard]] std::string take() {
        wants_comma_ = false;
        return std::move(text_);
    }

private:
    void open(char bracket) {
        comma();
        text_ += bracket;
        wants_comma_ = false;
    }
    void close(char bracket) {
        text_ += bracket;
        wants_comma_ = true;
    }
    void literal(std::string_view word) {
        comma();
        text_ += word;
    }
    // Before a key or a value; behind it the next one wants a comma.
    void comma() {
        if (wants_comma_) text_ += ',';
        wants_comma_ = true;
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
            const std::size_t length = byte < 0x80 ? 0 : utf8_length(value.substr(at));
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

    std::string text_;
    bool wants_comma_ = false;
};

}  // namespace muster::control
