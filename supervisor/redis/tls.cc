#include "redis/tls.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <vector>

#include "base/text.h"

namespace muster::redis {
namespace {

template <auto free>
struct Freed {
    template <class Thing>
    void operator()(Thing* thing) const {
        free(thing);
    }
};
using Context = std::unique_ptr<SSL_CTX, Freed<SSL_CTX_free>>;
using Ssl = std::unique_ptr<SSL, Freed<SSL_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;

// A statically linked muster runs where OpenSSL's own default folders are not.
constexpr std::array folders{"/etc/ssl/certs", "/etc/pki/tls/certs", "/usr/share/ssl/certs"};
constexpr std::array bundles{
    "/etc/ssl/certs/ca-certificates.crt",  // Debian, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",    // Fedora
    "/etc/ssl/ca-bundle.pem",              // SUSE
    "/etc/ssl/cert.pem",
};

// The words of the oldest error in OpenSSL's queue, and the queue is empty again.
std::string openssl_text() {
    const auto code = ERR_get_error();
    ERR_clear_error();
    if (ERR_SYSTEM_ERROR(code)) return errno_text(ERR_GET_REASON(code));
    const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
    if (reason != nullptr) return reason;
    return code == 0 ? "for an unknown reason" : fmt::format("error {:#x}", code);
}

bool is_numeric(const std::string& host) {
    in6_addr address{};
    return inet_pton(AF_INET, host.c_str(), &address) == 1 ||
           inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

std::string variable(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string{} : std::string{value};
}

// As `openssl rehash` leaves a folder: <hash>.0 for each certificate. Then only the one that is
// needed is read, instead of some 140 kept in memory.
bool is_hashed_folder(const char* path) {
    const std::unique_ptr<DIR, Freed<closedir>> folder{opendir(path)};
    if (!folder) return false;
    while (const dirent* entry = readdir(folder.get())) {
        const std::string_view name = entry->d_name;
        if (name.size() == 10 && name.ends_with(".0")) return true;
    }
    return false;
}

Outcome trust_the_system(SSL_CTX* context) {
    const std::string file = variable("SSL_CERT_FILE");
    const std::string folder = variable("SSL_CERT_DIR");
    if (!file.empty() && SSL_CTX_load_verify_file(context, file.c_str()) != 1) {
        return Error{fmt::format("reading the CA certificates of $SSL_CERT_FILE {}: {}", file,
                                 openssl_text())};
    }
    if (!folder.empty()) SSL_CTX_load_verify_dir(context, folder.c_str());
    if (!file.empty() || !folder.empty()) return Done{};
    for (const char* path : folders) {
        if (is_hashed_folder(path) && SSL_CTX_load_verify_dir(context, path) == 1) return Done{};
    }
    for (const char* path : bundles) {
        if (access(path, R_OK) == 0 && SSL_CTX_load_verify_file(context, path) == 1) return Done{};
    }
    ERR_clear_error();
    return Error{"this system has no CA certificates (neither in /etc/ssl/certs nor elsewhere)",
                 "install ca-certificates, or name the server's CA in redis.tls: ca_file"};
}

Outcome set_certificate(SSL_CTX* context, const TlsSettings& settings) {
    if (settings.cert_file.empty()) return Done{};
    const std::string& key = settings.key_file.empty() ? settings.cert_file : settings.key_file;
    // A key with a passphrase: OpenSSL would ask for it on the terminal.
    SSL_CTX_set_default_passwd_cb(context, [](char*, int, int, void*) { return 0; });
    if (SSL_CTX_use_certificate_chain_file(context, settings.cert_file.c_str()) != 1) {
        return Error{
            fmt::format("reading redis.tls.cert_file {}: {}", settings.cert_file, openssl_text())};
    }
    if (SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1) {
        return Error{fmt::format("reading the private key in {} (redis.tls.key_file): {}", key,
                                 openssl_text()),
                     "it must be in PEM, without a passphrase, and belong to cert_file"};
    }
    return Done{};
}

// SNI carries names only; a numeric host is looked for among the certificate's addresses.
bool set_host(SSL* ssl, const TlsSettings& settings, const std::string& host) {
    const bool is_ip = is_numeric(host);
    if (!is_ip && SSL_set_tlsext_host_name(ssl, host.c_str()) != 1) return false;
    if (settings.verify != TlsSettings::Verify::full) return true;
    if (is_ip) return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, host.c_str()) == 1;
}

// A peer's words, for a log line.
std::string printable(std::string_view text) {
    std::string shown(text.substr(0, 100));
    for (char& c : shown) {
        if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e) c = '?';
    }
    return shown;
}

std::string common_name(const X509_NAME* name) {
    std::array<char, 256> text{};
    const int size =
        X509_NAME_get_text_by_NID(name, NID_commonName, text.data(), static_cast<int>(text.size()));
    return size <= 0 ? "?" : printable(std::string_view(text.data()));
}

std::string address_text(const ASN1_OCTET_STRING* address) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    const int family = ASN1_STRING_length(address) == 4 ? AF_INET : AF_INET6;
    if (family == AF_INET6 && ASN1_STRING_length(address) != 16) return "?";
    return inet_ntop(family, ASN1_STRING_get0_data(address), text.data(), text.size());
}

// Names and addresses that the certificate is for; the first few.
std::string names_of(const X509* certificate) {
    constexpr std::size_t most = 5;
    std::vector<std::string> names;
    const auto all = static_cast<GENERAL_NAMES*>(
        X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
    for (int i = 0; i < sk_GENERAL_NAME_num(all) && names.size() < most; ++i) {
        const GENERAL_NAME* name = sk_GENERAL_NAME_value(all, i);
        if (name->type == GEN_DNS) {
            const auto* data = reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.ia5));
            names.push_back(
                printable({data, static_cast<std::size_t>(ASN1_STRING_length(name->d.ia5))}));
        } else if (name->type == GEN_IPADD) {
            names.push_back(address_text(name->d.ip));
        }
    }
    GENERAL_NAMES_free(all);
    if (names.empty()) return common_name(X509_get_subject_name(certificate));
    return fmt::format("{}", fmt::join(names, ", "));
}

bool is_about_the_host(long verdict) {
    return verdict == X509_V_ERR_HOSTNAME_MISMATCH || verdict == X509_V_ERR_IP_ADDRESS_MISMATCH;
}

bool is_about_time(long verdict) {
    return verdict == X509_V_ERR_CERT_HAS_EXPIRED || verdict == X509_V_ERR_CERT_NOT_YET_VALID;
}

}  // namespace

struct Tls::State {
    Context context;
    Ssl ssl;
    BIO* in = nullptr;   // the session's
    BIO* out = nullptr;  // the session's
    std::string host;
    std::string refused_names;  // whom a certificate is for that was not accepted
    bool is_established = false;
    bool has_certificate = false;
};

namespace {

// The certificate at fault is at hand only here.
int on_verified(int is_accepted, X509_STORE_CTX* store) {
    if (is_accepted != 0) return 1;
    const auto* ssl = static_cast<const SSL*>(
        X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
    auto* state = static_cast<Tls::State*>(SSL_get_app_data(ssl));
    const X509* certificate = X509_STORE_CTX_get_current_cert(store);
    if (state != nullptr && certificate != nullptr) state->refused_names = names_of(certificate);
    return 0;
}

Outcome set_trust(SSL_CTX* context, const TlsSettings& settings) {
    if (settings.verify == TlsSettings::Verify::none) {
        SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nullptr);
        return Done{};
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, on_verified);
    if (settings.ca_file.empty()) return trust_the_system(context);
    if (SSL_CTX_load_verify_file(context, settings.ca_file.c_str()) == 1) return Done{};
    return Error{fmt::format("reading redis.tls.ca_file {}: {}", settings.ca_file, openssl_text()),
                 "it must hold certificates in PEM"};
}

}  // namespace

Result<std::unique_ptr<Tls>> Tls::create(const TlsSettings& settings, const std::string& host) {
    ERR_clear_error();
    auto state = std::make_unique<State>();
    state->host = host;
    state->has_certificate = !settings.cert_file.empty();
    state->context.reset(SSL_CTX_new(TLS_client_method()));
    SSL_CTX* context = state->context.get();
    if (context == nullptr) return Error{fmt::format("setting TLS up: {}", openssl_text())};
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    if (auto set = set_trust(context, settings); !set) return set.error();
    if (auto set = set_certificate(context, settings); !set) return set.error();
    state->ssl.reset(SSL_new(context));
    state->in = BIO_new(BIO_s_mem());
    state->out = BIO_new(BIO_s_mem());
    if (!state->ssl || state->in == nullptr || state->out == nullptr) std::abort();  // no memory
    SSL_set_app_data(state->ssl.get(), state.get());
    SSL_set_bio(state->ssl.get(), state->in, state->out);
    SSL_set_connect_state(state->ssl.get());
    if (!set_host(state->ssl.get(), settings, host))
        return Error{fmt::format("setting TLS up for the host {}: {}", host, openssl_text())};
    return std::make_unique<Tls>(std::move(state));
}

Tls::Tls(std::unique_ptr<State> state) : state_(std::move(state)) {}
Tls::~Tls() = default;

Outcome Tls::start() {
    std::string nothing;
    return feed({}, nothing);
}

Outcome Tls::feed(std::string_view bytes, std::string& plain) {
    ERR_clear_error();
    SSL* ssl = state_->ssl.get();
    if (!bytes.empty()) BIO_write(state_->in, bytes.data(), static_cast<int>(bytes.size()));
    if (!state_->is_established) {
        const int done = SSL_do_handshake(ssl);
        if (done != 1 && SSL_get_error(ssl, done) == SSL_ERROR_WANT_READ) return Done{};
        if (done != 1) return explained("the TLS handshake");
        state_->is_established = true;
    }
    std::array<char, 16'384> part{};  // a record's
    for (;;) {
        const int size = SSL_read(ssl, part.data(), static_cast<int>(part.size()));
        if (size > 0) {
            plain.append(part.data(), static_cast<std::size_t>(size));
            continue;
        }
        const int why = SSL_get_error(ssl, size);
        if (why == SSL_ERROR_WANT_READ) return Done{};
        if (why == SSL_ERROR_ZERO_RETURN) return Error{"the server closed the TLS session"};
        return explained("TLS");
    }
}

Outcome Tls::write(std::string_view plain) {
    ERR_clear_error();
    SSL* ssl = state_->ssl.get();
    while (!plain.empty()) {
        const auto part = plain.substr(0, 1 << 20);
        const int size = SSL_write(ssl, part.data(), static_cast<int>(part.size()));
        if (size <= 0) return explained("TLS");
        plain.remove_prefix(static_cast<std::size_t>(size));
    }
    return Done{};
}

std::string Tls::take_outgoing() {
    std::string bytes(static_cast<std::size_t>(BIO_ctrl_pending(state_->out)), '\0');
    if (!bytes.empty()) BIO_read(state_->out, bytes.data(), static_cast<int>(bytes.size()));
    return bytes;
}

bool Tls::is_established() const {
    return state_->is_established;
}

std::string Tls::description() const {
    SSL* ssl = state_->ssl.get();
    const Certificate peer{SSL_get1_peer_certificate(ssl)};
    if (!peer) return SSL_get_version(ssl);
    const bool is_verified =
        SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE && SSL_get_verify_result(ssl) == X509_V_OK;
    return fmt::format("{}, certificate for {} by {}{}", SSL_get_version(ssl), names_of(peer.get()),
                       common_name(X509_get_issuer_name(peer.get())),
                       is_verified ? "" : ", not verified");
}

// Every sentence says which setting mends it.
Error Tls::explained(const char* doing) const {
    SSL* ssl = state_->ssl.get();
    const int reason = ERR_GET_REASON(ERR_peek_error());
    const std::string said = openssl_text();
    const long verdict = SSL_get_verify_result(ssl);
    const bool is_unproved = SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE && verdict != X509_V_OK;
    if (is_unproved && is_about_the_host(verdict)) {
        return Error{fmt::format("the server's certificate is not for {} but for {}", state_->host,
                                 state_->refused_names),
                     "write that name into the Redis URL, or redis.tls verify = \"ca\""};
    }
    if (is_unproved) {
        const std::string what = fmt::format("the server's certificate is not accepted: {}",
                                             X509_verify_cert_error_string(verdict));
        if (is_about_time(verdict)) return Error{what, "renew it, or set the clock here right"};
        return Error{what,
                     "name the CA that signed it in redis.tls: ca_file = \"…\" (or, against no "
                     "impostor at all, verify = \"none\")"};
    }
    switch (reason) {
        case SSL_R_WRONG_VERSION_NUMBER:
        case SSL_R_PACKET_LENGTH_TOO_LONG:
        case SSL_R_HTTP_REQUEST:
        case SSL_R_BAD_PROTOCOL_VERSION_NUMBER:
#ifdef SSL_R_RECORD_LAYER_FAILURE  // since OpenSSL 3.2
        case SSL_R_RECORD_LAYER_FAILURE:
#endif
            return Error{
                fmt::format("{}: the server does not speak TLS on this port ({})", doing, said),
                "redis:// is without TLS: write that, or the TLS port"};
        case SSL_R_UNSUPPORTED_PROTOCOL:
        case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
            return Error{
                fmt::format("{}: the server does not know TLS 1.2 or newer ({})", doing, said)};
        case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
        case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
        case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
        case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
        case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
        case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
            return Error{
                fmt::format("{}: the server {} ({})", doing,
                            state_->has_certificate ? "refuses our certificate"
                                                    : "seems to want a certificate of ours",
                            said),
                "name one that it accepts in redis.tls: cert_file and key_file"};
        default:
            return Error{fmt::format("{}: {}", doing, said)};
    }
}

}  // namespace muster::redis
