#pragma once
// Reading what an operator wrote: at most 1 MiB, at start-up only (it waits for the disk).

#include <cstddef>
#include <string>

#include "base/result.h"

namespace muster::config {

inline constexpr std::size_t longest_file = std::size_t{1024} * 1024;

// The error is the reason alone ("Permission denied"): the caller says which file and what for.
Result<std::string> read_file(const std::string& path);

}  // namespace muster::config
