#include "logs/line_format.h"

#include <cstring>

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

bool is_between(unsigned char c, unsigned least, unsigned most) {
    return c >= least && c <= most;
}

// How many bytes the UTF-8 character at the start takes, 0 where there is none (RFC 3629, 4).
std::size_t character_size(std::string_view text) {
    const auto byte = [&](std::size_t at) {
        return at < text.size() ? static_cast<unsigned char>(text[at])
                                : static_cast<unsigned char>(0);
    };
    const auto follows = [&](std::size_t at) { return is_between(byte(at), 0x80, 0xbf); };
    const unsigned char first = byte(0);
    if (first < 0x80) return 1;
    if (is_between(first, 0xc2, 0xdf)) return follows(1) ? 2 : 0;
    if (is_between(first, 0xe0, 0xef)) {
        const unsigned least = first == 0xe0 ? 0xa0 : 0x80;
        const unsigned most = first == 0xed ? 0x9f : 0xbf;  // no surrogates
        return is_between(byte(1), least, most) && follows(2) ? 3 : 0;
    }
    if (is_between(first, 0xf0, 0xf4)) {
        const unsigned least = first == 0xf0 ? 0x90 : 0x80;
        const unsigned most = first == 0xf4 ? 0x8f : 0xbf;
        return is_between(byte(1), least, most) && follows(2) && follows(3) ? 4 : 0;
    }
    return 0;
}

void append_code(std::string& out, unsigned code) {
    constexpr std::string_view digits = "0123456789abcdef";
    out += "\\u00";
    out += digits[code >> 4 & 15];
    out += digits[code & 15];
}

void append_escaped(std::string& out, char c) {
    switch (c) {
        case '"':
            out += "\\\"";
            return;
        case '\\':
            out += "\\\\";
            return;
        case '\n':
            out += "\\n";
            return;
        case '\r':
            out += "\\r";
            return;
        case '\t':
            out += "\\t";
            return;
        default:
            append_code(out, static_cast<unsigned char>(c));
    }
}

}  // namespace

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
            append_escaped(out, text[at]);
            copied = ++at;
            continue;
        }
        const std::size_t size = character_size(text.substr(at, 4));
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
