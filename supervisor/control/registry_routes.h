#pragma once
// GET /v1/workers, GET /v1/fleet and POST /v1/sweep.

#include <string>

#include "control/api.h"
#include "control/http_server.h"
#include "control/registry_api.h"

namespace muster::control {

// False: the path is none of these, nothing was answered.
bool registry_route(const RegistryBackend& backend,
                    const Request& request,
                    const HttpServer::Respond& respond);

// The answer to POST /v1/sweep; `muster sweep --json` prints the same without a supervisor.
std::string sweep_json(const SweepView& sweep);

}  // namespace muster::control
