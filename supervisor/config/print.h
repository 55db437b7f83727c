#pragma once

#include <string>

#include "config/config.h"

namespace muster::config {

// The effective configuration as TOML that load_text reads back; secrets are masked (I12).
std::string printed(const Config& config);

}  // namespace muster::config
