#pragma once
// Commands as Redis reads them on the wire.

#include <span>
#include <string>

namespace muster::redis {

// Any bytes are allowed in an argument.
std::string formatted(std::span<const std::string> argv);

}  // namespace muster::redis
