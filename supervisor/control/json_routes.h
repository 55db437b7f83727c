#pragma once
// The control API in JSON: requests to verbs, verbs' outcomes to replies.

#include "control/api.h"
#include "control/http_server.h"

namespace muster::control {

class JsonRoutes {
public:
    explicit JsonRoutes(Backend backend) : backend_(std::move(backend)) {}

    // Answers once, at once or when the verb is done. The answer does not need the JsonRoutes.
    void handle(const Request& request, const HttpServer::Respond& respond) const;

private:
    Backend backend_;
};

}  // namespace muster::control
