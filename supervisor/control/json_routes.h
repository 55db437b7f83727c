#pragma once
// The control API in JSON: requests to verbs, verbs' outcomes to replies.

#include <string_view>
#include <vector>

#include "control/api.h"
#include "control/http_server.h"

namespace muster::control {

struct Route {
    std::string_view method;
    std::string_view path;  // "/v1/processes/{id}/why": {…} is one part of a path
};

class JsonRoutes {
public:
    explicit JsonRoutes(Backend backend) : backend_(std::move(backend)) {}

    // All that is answered.
    static std::vector<Route> routes();

    // Answers once, at once or when the verb is done. The answer does not need the JsonRoutes.
    void handle(const Request& request, const HttpServer::Respond& respond) const;

private:
    Backend backend_;
};

}  // namespace muster::control
