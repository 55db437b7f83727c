#pragma once
// TLS as a plain exchange of bytes: what came from the peer goes in, what must be sent comes out.
// No socket, no waiting, and OpenSSL nowhere but in its source. A build without TLS has the same
// class, which refuses to be made.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace muster::redis {

struct TlsSettings {
    enum class Verify : std::uint8_t {
        full,  // a certificate signed by whom we trust, for the host that we asked for
        ca,    // … for whatever host
        none,  // anybody's
    };
    std::string ca_file;  // "" = the system's
    Verify verify = Verify::full;
    std::string cert_file;  // "" = no certificate of our own
    std::string key_file;   // "" = in cert_file
};

class Tls {
public:
    // Reads the files named in the settings, each time: certificates change. Small and local, but
    // for the system's CAs, of which only the needed one is read where they lie in a folder.
    static Result<std::unique_ptr<Tls>> create(const TlsSettings& settings,
                                               const std::string& host);
    struct State;
    explicit Tls(std::unique_ptr<State> state);  // for create()
    Tls(const Tls&) = delete;
    Tls& operator=(const Tls&) = delete;
    ~Tls();

    Outcome start();  // the first bytes of the handshake
    // Appends to `plain`, never more than `bytes` holds. After an error it is of no use, but has
    // perhaps something to send: why.
    Outcome feed(std::string_view bytes, std::string& plain);
    Outcome write(std::string_view plain);
    std::string take_outgoing();

    [[nodiscard]] bool is_established() const;
    [[nodiscard]] std::string description() const;  // "TLSv1.3, certificate for a, b by C"

private:
    Error explained(const char* doing) const;

    std::unique_ptr<State> state_;
};

}  // namespace muster::redis
