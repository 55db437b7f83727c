#pragma once
// `muster workers` and `muster fleet` as tables.

#include <string>

#include "client/json_reading.h"

namespace muster::client {

std::string workers_table(const Json& workers, bool with_colour);
std::string fleet_table(const Json& instances, bool with_colour);

}  // namespace muster::client
