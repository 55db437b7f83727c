// The class of tls.h in a build without TLS (meson: -Dtls=disabled).

#include "redis/tls.h"

namespace muster::redis {

struct Tls::State {};

Result<std::unique_ptr<Tls>> Tls::create(const TlsSettings&, const std::string&) {
    return Error{"this muster was built without TLS", "take redis:// or another build"};
}

Tls::Tls(std::unique_ptr<State> state) : state_(std::move(state)) {}
Tls::~Tls() = default;

Outcome Tls::start() {
    return explained("");
}

Outcome Tls::feed(std::string_view, std::string&) {
    return explained("");
}

Outcome Tls::write(std::string_view) {
    return explained("");
}

std::string Tls::take_outgoing() {
    return {};
}

bool Tls::is_established() const {
    return false;
}

std::string Tls::description() const {
    return {};
}

Error Tls::explained(const char*) const {
    return Error{"this muster was built without TLS"};
}

}  // namespace muster::redis
