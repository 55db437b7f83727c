#pragma once
// Where a Redis is and who we are to it. Printed only through `shown`, which holds no password.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace muster::redis {

struct Url {
    std::string host;  // name or numeric address; "" with a unix socket
    std::uint16_t port = 6379;
    std::string socket_path;  // "" = TCP
    std::string username;     // "" = the default user
    std::string password;     // "" = no AUTH
    std::uint32_t database = 0;
    std::string shown;  // the address with the password masked (I12)
};

// redis://[[user]:password@]host[:port][/db]   (also redis://password@host: a password alone)
// unix://[[user]:password@]/path[?db=N&password=...&username=...]
// Errors never repeat the secret.
Result<Url> parse_url(std::string_view text);

// What a peer says may repeat the password to us; it goes to the log without it.
std::string without_secrets(std::string text, const Url& url);

}  // namespace muster::redis
