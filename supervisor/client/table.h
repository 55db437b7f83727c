#pragma once
// Text in columns, for people.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace muster::client {

enum class Colour : std::uint8_t { none, good, busy, bad, dim };

struct Cell {
    std::string text;
    Colour colour = Colour::none;
};

// The first row is the heading. Columns are as wide as their widest cell; control characters, which
// could be orders to the terminal, are shown as '?'.
std::string table(const std::vector<std::vector<Cell>>& rows, bool with_colour);

// Control characters, which could be orders to the terminal, are shown as '?'.
std::string printable(std::string_view text);

std::string or_dash(std::string text);  // "" is shown as "-"

// "12s", "5m 03s", "3h 12m", "2d 4h".
std::string short_duration(Duration duration);

// Stdout is a terminal and NO_COLOR is not set.
bool wants_colour();

}  // namespace muster::client
