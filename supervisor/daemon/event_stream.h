#pragma once
// GET /v1/events: the events of late, and those to come, as JSON lines or server-sent events.

#include "control/api.h"
#include "control/http_server.h"
#include "logs/event_ring.h"

namespace muster::daemon {

// The ring outlives the response's rest.
control::Response event_response(logs::EventRing& ring, const control::EventQuery& query);

}  // namespace muster::daemon
