#pragma once
// The text of a job's failure, as RQ 2 and later keep it among a job's results.

#include <string>
#include <string_view>

namespace muster::registry {

// zlib's format, not compressed, in base64: what RQ unpacks again. At most 60,000 bytes of it.
std::string as_exc_string(std::string_view text);

}  // namespace muster::registry
