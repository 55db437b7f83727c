#pragma once
// `muster check --connect`: the way to Redis step by step, and whether all that muster needs there
// is allowed. Changes nothing but one key under muster's own prefix, which expires by itself.

#include "client/control_verbs.h"
#include "config/config.h"

namespace muster::client {

Printed connect_check(const config::Config& config);

// What a quiet muster sends, for those who pay by the command.
std::string command_sum(const config::Config& config);  // with a Redis

}  // namespace muster::client
