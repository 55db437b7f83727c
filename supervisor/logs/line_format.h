#pragma once
// A child's line as it stands in our stdout.

#include <cstdint>
#include <string>
#include <string_view>

namespace muster::logs {

enum class Format : std::uint8_t { text, json };

// "shap_00 | message", or {"time":…,"process":"shap_00","stream":"stdout","message":…}. A piece
// that goes on with the line before it, one that was too long, is "shap_00 + message", and has
// "continued":true.
class LineFormat {
public:
    LineFormat(Format format, std::string_view process, bool is_stderr);

    // Without its end of line. Text is passed on byte by byte; in JSON what is no UTF-8 becomes
    // U+FFFD, and control characters are escaped. `time` is only for JSON.
    void append(std::string& out,
                std::string_view line,
                std::string_view time,
                bool is_continued) const;

private:
    Format format_;
    std::string head_;  // text: "shap_00"; JSON: what stands between the time and the message
};

// What JSON and our log lines write alike: \" \\ \n \r \t. False: it is none of these.
bool append_short_escape(std::string& out, char c);

// What stands between the quotes of a JSON string.
void append_json(std::string& out, std::string_view text);

}  // namespace muster::logs
