#include "logs/event_log.h"

#include <utility>

#include "logs/line_format.h"

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
    if (append_short_escape(line, c)) return;
    if (is_control(static_cast<unsigned char>(c)))
        append_hex(line, c);
    else
        line += c;
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
    const std::string_view time = stamp_.now();  // one for the event and its line
    if (ring_ != nullptr && level >= LogLevel::info) ring_->add(level, time, verb, fields);
    if (level < least_) return;
    if (!writer_.accepts_events()) {
        if (dropped_ == 0) writer_.wait_for_room(*this);
        ++dropped_;
        ++dropped_ever_;
        return;
    }
    if (dropped_ > 0) {
        writer_.forget(*this);
        tell_dropped(time);
    }
    begin_line(time, level, verb);
    for (const LogField& field : fields) {
        if (!field.value.empty()) append_field(field.key, field.value);
    }
    end_line();
}

void EventLog::begin_line(std::string_view time, LogLevel level, std::string_view verb) {
    switch (format_) {
        case Format::text:
            line_ = time;
            line_ += ' ';
            line_ += padded(level);
            line_ += ' ';
            line_ += verb;
            return;
        case Format::json:
            line_ = "{\"time\":\"";
            line_ += time;
            line_ += "\",\"level\":\"";
            line_ += level_word(level);
            line_ += '"';
            append_field("event", verb);
            return;
    }
}

void EventLog::append_field(std::string_view key, std::string_view value) {
    switch (format_) {
        case Format::text:
            line_ += ' ';
            line_ += key;
            line_ += '=';
            append_value(line_, value);
            return;
        case Format::json:
            line_ += ",\"";
            line_ += key;
            line_ += "\":\"";
            append_json(line_, value);
            line_ += '"';
            return;
    }
}

void EventLog::end_line() {
    line_ += format_ == Format::json ? "}\n" : "\n";
    writer_.append(line_);
    if (tails_ != nullptr) tails_->append(own_lines, line_);
}

void EventLog::tell_dropped(std::string_view time) {
    begin_line(time, LogLevel::warn, "dropped");
    append_field("lines", std::to_string(std::exchange(dropped_, 0)));
    end_line();
}

void EventLog::output_drained() {
    if (dropped_ > 0) tell_dropped(stamp_.now());
}

}  // namespace muster::logs
