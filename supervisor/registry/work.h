#pragma once
// What registered workers are doing, by one field of each worker's hash.

#include <string>
#include <string_view>
#include <vector>

#include "redis/client.h"
#include "registry/system.h"

namespace muster::registry {

// Answers in the order of the keys. `judge` is given the field's value; "" = no such field.
void ask_work(redis::Client& client,
              std::vector<std::string> keys,
              const std::string& field,
              System::Work (*judge)(std::string_view value),
              System::WorkDone done);

}  // namespace muster::registry
