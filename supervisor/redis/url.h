#pragma once
// Where a Redis is and who we are to it. Printed only through `shown`, which holds no password.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace muster::redis {

struct Address {
    std::string host;  // name or numeric
    std::uint16_t port = 0;
    friend bool operator==(const Address&, const Address&) = default;
};

struct Url {
    std::string host;  // name or numeric address; "" with a unix socket
    std::uint16_t port = 6379;
    std::string socket_path;  // "" = TCP
    std::string username;     // "" = the default user
    std::string password;     // "" = no AUTH
    std::uint32_t database = 0;
    bool is_tls = false;
    // With redis+sentinel://: who knows the host and port of the master. `is_tls` holds for both.
    std::vector<Address> sentinels = {};
    std::string service = {};  // the master's name there
    std::string sentinel_username = {};
    std::string sentinel_password = {};  // "" = no AUTH there: the user above is Redis' own
    std::string shown = {};              // the address with the password masked (I12)
};

// redis://[[user]:password@]host[:port][/db]   (also redis://password@host: a password alone)
// rediss://…                                   the same over TLS
// redis+sentinel://[[user]:password@]host[:port][,host[:port]…]/service[/db]
//     [?sentinel_password=...&sentinel_username=...]   (rediss+sentinel://: over TLS)
// unix://[[user]:password@]/path[?db=N&password=...&username=...]
// Errors never repeat the secret.
Result<Url> parse_url(std::string_view text);

// What a peer says may repeat the password to us; it goes to the log without it.
std::string without_secrets(std::string text, const Url& url);

}  // namespace muster::redis
