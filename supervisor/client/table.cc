#include "client/table.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace muster::client {

namespace {

std::size_t width(std::string_view text) {  // of UTF-8, by code points
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xc0U) != 0x80;
    }));
}

std::string_view escape(Colour colour) {
    switch (colour) {
        case Colour::none:
            return "";
        case Colour::good:
            return "\x1b[32m";
        case Colour::busy:
            return "\x1b[33m";
        case Colour::bad:
            return "\x1b[31m";
        case Colour::dim:
            return "\x1b[2m";
    }
    return "";
}

}  // namespace

std::string printable(std::string_view text) {
    std::string shown;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        // U+0080 to U+009F are control characters, too.
        const bool is_c1 =
            byte == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0;
        if (is_c1) ++i;
        shown += byte < 0x20 || byte == 0x7f || is_c1 ? '?' : text[i];
    }
    return shown;
}

std::string table(const std::vector<std::vector<Cell>>& rows, bool with_colour) {
    std::vector<std::size_t> widths;
    for (const auto& row : rows) {
        widths.resize(std::max(widths.size(), row.size()));
        for (std::size_t i = 0; i < row.size(); ++i)
            widths[i] = std::max(widths[i], width(printable(row[i].text)));
    }
    std::string text;
    for (const auto& row : rows) {
        std::size_t pending = 0;  // blanks that are only written before more text
        for (std::size_t i = 0; i < row.size(); ++i) {
            const std::string shown = printable(row[i].text);
            if (!shown.empty()) {
                text.append(pending, ' ');
                pending = 0;
            }
            const std::string_view colour = with_colour ? escape(row[i].colour) : "";
            text += colour;
            text += shown;
            if (!colour.empty()) text += "\x1b[0m";
            pending += widths[i] - width(shown) + 2;
        }
        text += '\n';
    }
    return text;
}

std::string or_dash(std::string text) {
    if (text.empty()) text = "-";
    return text;
}

std::string short_duration(Duration duration) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(duration).count();
    const auto minutes = seconds / 60;
    const auto hours = minutes / 60;
    if (minutes == 0) return fmt::format("{}s", seconds);
    if (hours == 0) return fmt::format("{}m {:02}s", minutes, seconds % 60);
    if (hours < 24) return fmt::format("{}h {:02}m", hours, minutes % 60);
    return fmt::format("{}d {}h", hours / 24, hours % 24);
}

bool wants_colour() {
    const char* no_colour = std::getenv("NO_COLOR");
    return (no_colour == nullptr || no_colour[0] == '\0') && isatty(STDOUT_FILENO) != 0;
}

}  // namespace muster::client
