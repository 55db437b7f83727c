#include "logs/line_format.h"

#include <cstring>

#include "base/text.h"

namespace muster::logs {

namespace {

constexpr std::uint64_t each_byte(std::uint8_t value) {
    return 0x0101010101010101ULL * value;
}

// A high bit of the result is set where a byte is 0. (It may also be set above one that is: fine
// for "is there any".)
constexpr std::uint64_t zeros(std::uint64_t word) {
    return (word - each_byte(1)) & ~word & each_byte(0x80);
}

// Eight bytes that stand in JSON as they are.
bool are_plain(const char* at) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, sizeof word);
    const std::uint64_t controls = (word - each_byte(0x20)) & ~word;
    return (((controls | word) & each_byte(0x80)) | zeros(word ^ each_byte('"')) |
            zeros(word ^ each_byte('\\')) | zeros(word ^ each_byte(0x7f))) == 0;
}

bool is_plain(unsigned char c) {
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

void append_code(std::string& out, unsigned code) {
    constexpr std::string_view digits = "0123456789abcdef";
    out += "\\u00";
    out += digits[code >> 4 & 15];
    out += digits[code & 15];
}

}  // namespace

bool append_short_escape(std::string& out, char c) {
    switch (c) {
        case '"':
            out += "\\\"";
            return true;
        case '\\':
            out += "\\\\";
            return true;
        case '\n':
            out += "\\n";
            return true;
        case '\r':
            out += "\\r";
            return true;
        case '\t':
            out += "\\t";
            return true;
        default:
            return false;
    }
}

void append_json(std::string& out, std::string_view text) {
    std::size_t copied = 0;
    std::size_t at = 0;
    const auto copy = [&] { out.append(text, copied, at - copied); };
    while (at < text.size()) {
        if (at + 8 <= text.size() && are_plain(text.data() + at)) {
            at += 8;
            continue;
        }
        const auto c = static_cast<unsigned char>(text[at]);
        if (is_plain(c)) {
            ++at;
            continue;
        }
        if (c < 0x80) {
            copy();
            if (!append_short_escape(out, text[at])) append_code(out, c);
            copied = ++at;
            continue;
        }
        const std::size_t size = utf8_length(text.substr(at, 4));
        if (size == 0) {
            copy();
            out += "\xEF\xBF\xBD";
            copied = ++at;
        } else if (c == 0xc2 && static_cast<unsigned char>(text[at + 1]) < 0xa0) {
            copy();  // U+0080 to U+009F are controls, too
            append_code(out, static_cast<unsigned char>(text[at + 1]));
            copied = at += 2;
        } else {
            at += size;
        }
    }
    copy();
}

LineFormat::LineFormat(Format format, std::string_view process, bool is_stderr) : format_(format) {
    switch (format) {
        case Format::text:
            head_ = process;
            break;
        case Format::json:
            head_ = "\",\"process\":\"";
            append_json(head_, process);
            head_ += is_stderr ? "\",\"stream\":\"stderr\",\"message\":\""
                               : "\",\"stream\":\"stdout\",\"message\":\"";
            break;
    }
}

void LineFormat::append(std::string& out,
                        std::string_view line,
                        std::string_view time,
                        bool is_continued) const {
    switch (format_) {
        case Format::text:
            out += head_;
            out += is_continued ? " + " : " | ";
            out += line;
            out += '\n';
            return;
        case Format::json:
            out += "{\"time\":\"";
            out += time;
            out += head_;
            append_json(out, line);
            out += is_continued ? "\",\"continued\":true}\n" : "\"}\n";
            return;
    }
}

}  // namespace muster::logs
