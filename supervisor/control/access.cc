#include "control/access.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <strings.h>

#include <string_view>

#include "base/text.h"
#include "control/base64.h"

namespace muster::control {

namespace {

bool is_same_word(std::string_view one, std::string_view two) {
    return one.size() == two.size() && strncasecmp(one.data(), two.data(), one.size()) == 0;
}

// Takes as long whatever is wrong; only the length can be learned from the time.
bool is_token(std::string_view given, std::string_view token) {
    unsigned difference = given.size() == token.size() ? 0 : 1;
    for (std::size_t i = 0; i < given.size(); ++i) {
        const auto wanted = static_cast<unsigned char>(token[i % token.size()]);
        difference |= static_cast<unsigned>(static_cast<unsigned char>(given[i]) ^ wanted);
    }
    return difference == 0;
}

bool may_enter(std::string_view authorization, std::string_view token) {
    authorization = trimmed(authorization);
    const auto blank = std::min(authorization.find(' '), authorization.size());
    const std::string_view scheme = authorization.substr(0, blank);
    const std::string_view rest = trimmed(authorization.substr(blank));
    if (is_same_word(scheme, "Bearer")) return is_token(rest, token);
    if (!is_same_word(scheme, "Basic")) return false;
    const auto login = base64_decoded(rest);
    if (!login) return false;
    const auto colon = login->find(':');  // a password may hold others
    return colon != std::string::npos &&
           is_token(std::string_view(*login).substr(colon + 1), token);
}

// Of "name", "name:port", "[::1]:port".
std::string_view without_port(std::string_view host) {
    if (host.starts_with('[')) return host.substr(0, std::min(host.find(']'), host.size() - 1) + 1);
    return host.substr(0, host.find(':'));
}

// An address cannot be made to mean us by somebody's name server.
bool is_own_name(std::string_view host) {
    std::string name(without_port(host));
    if (host.empty() || is_same_word(name, "localhost")) return true;
    in_addr ip4{};
    in6_addr ip6{};
    if (!name.starts_with('[')) return inet_pton(AF_INET, name.c_str(), &ip4) == 1;
    if (!name.ends_with(']')) return false;
    name = name.substr(1, name.size() - 2);
    return inet_pton(AF_INET6, name.c_str(), &ip6) == 1;
}

bool is_same_site(std::string_view origin, std::string_view host) {
    const auto scheme_end = origin.find("://");
    return scheme_end != std::string_view::npos && !host.empty() &&
           is_same_word(origin.substr(scheme_end + 3), host);
}

}  // namespace

std::optional<Response> refused(const Access& access, const Request& request) {
    if (!request.origin.empty() && !is_same_site(request.origin, request.host))
        return error_response(403, "cross_site", "this request comes from another site's page",
                              "the Origin of a request must be the Host that it is sent to");
    if (access.token.empty() && !is_own_name(request.host))
        return error_response(403, "wrong_host", "this request is for a host of another name",
                              "without a token the Host must be an address or localhost; with one "
                              "(supervisor.http_token_file) any name will do");
    if (access.token.empty() || may_enter(request.authorization, access.token)) return std::nullopt;
    Response response = error_response(
        401, "unauthorized",
        request.authorization.empty() ? "this request has no token" : "the token is not right",
        "send Authorization: Bearer TOKEN, or the token as the password of any user");
    response.headers = "WWW-Authenticate: Basic realm=\"default\"\r\n";
    return response;
}

std::optional<Response> refused(std::optional<uid_t> peer, uid_t own) {
    if (peer == own || peer == uid_t{0}) return std::nullopt;
    const std::string who = peer ? fmt::format("user {}", *peer) : std::string("a user unknown");
    return error_response(403, "wrong_user",
                          fmt::format("{} may not speak to the muster of user {}", who, own),
                          "be that user, or root");
}

}  // namespace muster::control
