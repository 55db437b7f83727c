#include "client/redis_options.h"

#include <utility>

namespace muster::client {

redis::ClientOptions client_options(redis::Url url, const config::Redis& settings) {
    using Verify = redis::TlsSettings::Verify;
    const config::Tls& tls = settings.tls;
    Verify verify = Verify::full;
    if (tls.verify == config::Tls::Verify::ca) verify = Verify::ca;
    if (tls.verify == config::Tls::Verify::none) verify = Verify::none;
    redis::ClientOptions options;
    options.url = std::move(url);
    options.connect_timeout = settings.connect_timeout;
    options.command_timeout = settings.command_timeout;
    options.tls = {tls.ca_file, verify, tls.cert_file, tls.key_file};
    return options;
}

}  // namespace muster::client
