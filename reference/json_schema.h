#pragma once
// The JSON Schema of muster.toml, for editors.

#include <string>

namespace muster::reference {

std::string json_schema();

}  // namespace muster::reference
