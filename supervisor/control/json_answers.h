#pragma once
// What the control API says, in JSON: the daemon's views as answers. docs/openapi.json describes
// them.

#include <string>
#include <vector>

#include "control/api.h"
#include "control/http_server.h"

namespace muster::control {

Response processes_answer(const Backend& backend);
Response process_answer(const Backend& backend, const std::string& id);
Response why_answer(const WhyView& view);
Response status_answer(const Backend& backend);
Response ready_answer(const Backend& backend);
Response outcomes_answer(const std::vector<VerbOutcome>& all);
Response reloaded_answer(const Reloaded& done);

}  // namespace muster::control
