#pragma once
// Who may speak to us over TCP. A web page that a browser on this host shows may not, whatever the
// browser knows: neither across sites (Origin) nor by a name that it has made ours (DNS rebinding).

#include <optional>
#include <string>

#include "control/http_server.h"

namespace muster::control {

struct Access {
    std::string token;  // "" = whoever is on this host
};

// Why a request is not served; nothing where it is. With a token: `Authorization: Bearer TOKEN`, or
// basic authentication with any user and the token as the password, which is what clients of
// supervisord can do. Without one the Host must be an address or localhost.
std::optional<Response> refused(const Access& access, const Request& request);

}  // namespace muster::control
