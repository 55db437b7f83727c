#pragma once
// Who may speak to us. Over TCP: a web page that a browser on this host shows may not, whatever the
// browser knows: neither across sites (Origin) nor by a name that it has made ours (DNS rebinding).

#include <sys/types.h>

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

// On the socket: root and our own user, whatever the file's mode has become or who has passed the
// descriptor on. `peer` is the user that connected, nothing where it cannot be had.
std::optional<Response> refused(std::optional<uid_t> peer, uid_t own);

}  // namespace muster::control
