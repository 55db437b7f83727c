#pragma once
// The facade behind which logs/ writes our own events. One event, one line: a verb in the past,
// then fields.

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace muster {

enum class LogLevel : std::uint8_t { debug, info, warn, error, critical };

// As the configuration and JSON have it: "warn".
inline std::string_view level_word(LogLevel level) {
    switch (level) {
        case LogLevel::debug:
            return "debug";
        case LogLevel::info:
            return "info";
        case LogLevel::warn:
            return "warn";
        case LogLevel::error:
            return "error";
        case LogLevel::critical:
            return "critical";
    }
    return "";
}

struct LogField {
    std::string_view key;
    std::string value;  // made by the caller; a secret goes through redacted() first (I12)
};

class Log {
public:
    Log() = default;
    Log(const Log&) = delete;
    Log& operator=(const Log&) = delete;
    virtual ~Log() = default;

    // Fields with an empty value are left out.
    virtual void write(LogLevel level,
                       std::string_view verb,
                       std::initializer_list<LogField> fields) = 0;
    [[nodiscard]] virtual bool shows(LogLevel level) const = 0;

    void debug(std::string_view verb, std::initializer_list<LogField> fields) {
        write(LogLevel::debug, verb, fields);
    }
    void info(std::string_view verb, std::initializer_list<LogField> fields) {
        write(LogLevel::info, verb, fields);
    }
    void warn(std::string_view verb, std::initializer_list<LogField> fields) {
        write(LogLevel::warn, verb, fields);
    }
    void error(std::string_view verb, std::initializer_list<LogField> fields) {
        write(LogLevel::error, verb, fields);
    }
};

}  // namespace muster
