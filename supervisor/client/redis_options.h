#pragma once
// How to speak to the Redis of a configuration, for verbs that do so themselves.

#include "config/config.h"
#include "redis/client.h"

namespace muster::client {

redis::ClientOptions client_options(redis::Url url, const config::Redis& settings);

}  // namespace muster::client
