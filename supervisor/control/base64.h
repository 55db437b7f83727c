#pragma once
// RFC 4648 with white space in between, as XML-RPC and basic authentication carry it.

#include <optional>
#include <string>
#include <string_view>

namespace muster::control {

// Nothing where there is another character.
std::optional<std::string> base64_decoded(std::string_view text);

}  // namespace muster::control
