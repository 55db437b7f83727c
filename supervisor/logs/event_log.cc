#include "logs/event_log.h"

#include <chrono>
#include <utility>

#include "base/time.h"

namespace muster::logs {

namespace {

std::string_view padded(LogLevel level) {
    switch (level) {
        case LogLevel::debug:
            return "DEBUG";
        case LogLevel::info:
            return "INFO ";
        case LogLevel::warn:
            return "WARN ";
        case LogLevel::error:
            return "ERROR";
        case LogLevel::critical:
            return "CRIT ";
    }
    return "?????";
}

bool is_control(unsigned char c) {
    return c < 0x20 || c == 0x7f;
}

// U+0080 to U+009F, which some terminals obey: C2 80 to C2 9F.
bool is_high_control(std::string_view text, std::size_t at) {
    return static_cast<unsigned char>(text[at]) == 0xc2 && at + 1 < text.size() &&
           static_cast<unsigned char>(text[at + 1]) >= 0x80 &&
           static_cast<unsigned char>(text[at + 1]) <= 0x9f;
}

bool needs_quotes(std::string_view value) {
    if (value.empty()) return true;
    for (std::size_t i = 0; i < value.size(); ++i) {
        const char c = value[i];
        if (c == ' ' || c == '"' || c == '=' || is_control(static_cast<unsigned char>(c)) ||
            is_high_control(value, i))
            return true;
    }
    return false;
}

void append_hex(std::string& line, char c) {
    constexpr std::string_view digits = "0123456789abcdef";
    const auto byte = static_cast<unsigned char>(c);
    line += "\\x";
    line += digits[byte >> 4];
    line += digits[byte & 15];
}

void append_escaped(std::string& line, char c) {
    switch (c) {
        case '"':
            line += "\\\"";
            return;
        case '\\':
            line += "\\\\";
            return;
        case '\n':
            line += "\\n";
            return;
        case '\r':
            line += "\\r";
            return;
        case '\t':
            line += "\\t";
            return;
        default:
            if (is_control(static_cast<unsigned char>(c)))
                append_hex(line, c);
            else
                line += c;
    }
}

}  // namespace

void append_value(std::string& line, std::string_view value) {
    if (!needs_quotes(value)) {
        line += value;
        return;
    }
    line += '"';
    for (std::size_t i = 0; i < value.size(); ++i) {
        if (is_high_control(value, i)) {
            append_hex(line, value[i]);
            append_hex(line, value[++i]);
        } else {
            append_escaped(line, value[i]);
        }
    }
    line += '"';
}

void EventLog::write(LogLevel level,
                     std::string_view verb,
                     std::initializer_list<LogField> fields) {
    if (!shows(level)) return;
    if (!writer_.accepts_events()) {
        if (dropped_ == 0) writer_.wait_for_room(*this);
        ++dropped_;
        ++dropped_ever_;
        return;
    }
    if (dropped_ > 0) {
        writer_.forget(*this);
        tell_dropped();
    }
    begin_line(level, verb);
    for (const LogField& field : fields) {
        if (!field.value.empty()) append_field(field.key, field.value);
    }
    end_line();
}

void EventLog::begin_line(LogLevel level, std::string_view verb) {
    const auto now =
        std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
    const auto second = std::chrono::floor<std::chrono::seconds>(now);
    if (second_.empty() || std::chrono::system_clock::to_time_t(second) != second_at_) {
        second_at_ = std::chrono::system_clock::to_time_t(second);
        second_ =
            format_wall_time(second).substr(0, std::string_view{"2026-05-16T01:24:48"}.size());
    }
    const auto millis = static_cast<unsigned>((now - second).count());
    line_ = second_;
    line_ += '.';
    line_ += static_cast<char>('0' + millis / 100);
    line_ += static_cast<char>('0' + millis / 10 % 10);
    line_ += static_cast<char>('0' + millis % 10);
    line_ += "Z ";
    line_ += padded(level);
    line_ += ' ';
    line_ += verb;
}

void EventLog::append_field(std::string_view key, std::string_view value) {
    line_ += ' ';
    line_ += key;
    line_ += '=';
    append_value(line_, value);
}

void EventLog::end_line() {
    line_ += '\n';
    writer_.append(line_);
}

void EventLog::tell_dropped() {
    begin_line(LogLevel::warn, "dropped");
    append_field("lines", std::to_string(std::exchange(dropped_, 0)));
    end_line();
}

void EventLog::output_drained() {
    if (dropped_ > 0) tell_dropped();
}

}  // namespace muster::logs
