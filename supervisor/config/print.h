#pragma once

#include <string>

#include "config/config.h"

namespace muster::config {

// The effective configuration as TOML that load_text reads back; secrets are masked (I12).
std::string printed(const Config& config);

// One table of it.
std::string printed(const Program& program);
std::string printed(const Supervisor& supervisor);
std::string printed(const Redis& redis);

}  // namespace muster::config
