#pragma once
// Percent-encoding of one segment of a path.

#include <optional>
#include <string>
#include <string_view>

namespace muster::control {

std::string percent_encoded(std::string_view text);

// Nothing where a '%' is not followed by two hexadecimal digits, or makes a NUL.
std::optional<std::string> percent_decoded(std::string_view text);

}  // namespace muster::control
