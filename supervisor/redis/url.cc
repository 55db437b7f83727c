#include "redis/url.h"

#include <fmt/format.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/text.h"

namespace muster::redis {
namespace {

constexpr std::uint16_t sentinel_port = 26379;
constexpr std::size_t most_sentinels = 16;

// Messages name the part, never its text: any part of a mistyped URL may be the password.
Error wrong(std::string_view why) {
    return Error{fmt::format("the Redis URL {}", why),
                 "redis://user:password@host:6379/0, rediss:// for TLS, or unix:///path?db=0; "
                 "inside a password write "
                 "@ / : ? # % as %40 %2F %3A %3F %23 %25"};
}

std::optional<std::string> decoded(std::string_view text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            plain += text[i];
            continue;
        }
        unsigned value = 0;
        if (i + 2 >= text.size()) return std::nullopt;
        const auto* end = text.data() + i + 3;
        const auto [rest, code] = std::from_chars(text.data() + i + 1, end, value, 16);
        if (code != std::errc{} || rest != end) return std::nullopt;
        plain += static_cast<char>(value);
        i += 2;
    }
    return plain;
}

template <class Number>
std::optional<Number> number(std::string_view text) {
    Number value = 0;
    const auto [rest, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (code != std::errc{} || rest != text.data() + text.size()) return std::nullopt;
    return value;
}

// "user:password", or a password alone, with or without the colon before it.
bool read_login(std::string_view text, Url& url) {
    const auto colon = text.find(':');
    const bool has_user = colon != std::string_view::npos;
    const auto user = decoded(has_user ? text.substr(0, colon) : std::string_view{});
    const auto password = decoded(has_user ? text.substr(colon + 1) : text);
    if (!user || !password) return false;
    url.username = *user;
    url.password = *password;
    return true;
}

std::optional<Error> read_query(std::string_view query, Url& url) {
    while (!query.empty()) {
        const auto end = std::min(query.find('&'), query.size());
        const auto pair = query.substr(0, end);
        query.remove_prefix(std::min(end + 1, query.size()));
        const auto equals = std::min(pair.find('='), pair.size());
        const auto key = pair.substr(0, equals);
        const auto value = decoded(pair.substr(std::min(equals + 1, pair.size())));
        if (!value) return wrong("has a broken %-escape in its query");
        if (key == "db") {
            const auto database = number<std::uint32_t>(*value);
            if (!database) return wrong("has a db that is not a number");
            url.database = *database;
        } else if (key == "password") {
            url.password = *value;
        } else if (key == "username") {
            url.username = *value;
        } else if (key == "sentinel_password" && !url.sentinels.empty()) {
            url.sentinel_password = *value;
        } else if (key == "sentinel_username" && !url.sentinels.empty()) {
            url.sentinel_username = *value;
        } else {
            return wrong("has a query key other than db, username and password");
        }
    }
    return std::nullopt;
}

std::optional<Error> read_address(std::string_view text, std::string& host, std::uint16_t& port) {
    if (!text.empty() && text.front() == '[') {  // [::1]:6379
        const auto close = text.find(']');
        if (close == std::string_view::npos) return wrong("has a [ without a ]");
        host = text.substr(1, close - 1);
        text.remove_prefix(close + 1);
        if (!text.empty() && text.front() != ':') return wrong("has something after the ]");
    } else {
        const auto colon = std::min(text.find(':'), text.size());
        host = text.substr(0, colon);
        text.remove_prefix(colon);
    }
    if (text.size() > 1) {
        const auto read = number<std::uint16_t>(text.substr(1));
        if (!read || *read == 0) return wrong("has a port that is not a number from 1 to 65535");
        port = *read;
    }
    return std::nullopt;
}

std::optional<Error> read_tcp(std::string_view authority, Url& url) {
    auto error = read_address(authority, url.host, url.port);
    if (url.host.empty()) url.host = "localhost";
    return error;
}

std::optional<Error> read_sentinels(std::string_view authority, std::string_view path, Url& url) {
    for (const std::string& one : split(authority, ',')) {
        Address sentinel{.host = {}, .port = sentinel_port};
        if (auto error = read_address(one, sentinel.host, sentinel.port)) return error;
        if (sentinel.host.empty()) return wrong("names no host of a sentinel");
        url.sentinels.push_back(std::move(sentinel));
    }
    if (url.sentinels.size() > most_sentinels) return wrong("names more than 16 sentinels");
    path.remove_prefix(std::min<std::size_t>(1, path.size()));
    const auto slash = std::min(path.find('/'), path.size());
    const auto service = decoded(path.substr(0, slash));
    if (!service || service->empty()) {
        return wrong("names no service: redis+sentinel://host:26379/SERVICE/0");
    }
    url.service = *service;
    return std::nullopt;
}

std::string host_text(const std::string& host, std::uint16_t port) {
    const bool is_ipv6 = host.find(':') != std::string::npos;
    return fmt::format("{}{}{}:{}", is_ipv6 ? "[" : "", host, is_ipv6 ? "]" : "", port);
}

std::string shown(const Url& url, bool has_login) {
    std::string login;
    if (has_login) login = fmt::format("{}{}@", url.username, url.password.empty() ? "" : ":***");
    if (!url.socket_path.empty())
        return fmt::format("unix://{}{}?db={}", login, url.socket_path, url.database);
    const char* tls = url.is_tls ? "s" : "";
    if (url.sentinels.empty()) {
        return fmt::format("redis{}://{}{}/{}", tls, login, host_text(url.host, url.port),
                           url.database);
    }
    std::string hosts;
    for (const Address& one : url.sentinels)
        hosts += fmt::format("{}{}", hosts.empty() ? "" : ",", host_text(one.host, one.port));
    return fmt::format("redis{}+sentinel://{}{}/{}/{}", tls, login, hosts, url.service,
                       url.database);
}

std::optional<Error> read_database(std::string_view path, Url& url) {
    if (path.empty() || path == "/") return std::nullopt;
    const auto database = number<std::uint32_t>(path.substr(1));
    if (!database) return wrong("has a database (after the last /) that is not a number");
    url.database = *database;
    return std::nullopt;
}

std::optional<Error> read_socket(std::string_view authority, std::string_view path, Url& url) {
    const auto plain = decoded(path);
    if (!authority.empty()) return wrong("needs three slashes before the socket's path");
    if (!plain || plain->size() < 2) return wrong("names no socket");
    if (plain->size() >= sizeof(sockaddr_un::sun_path))
        return wrong("names a socket whose path is longer than the kernel takes (107)");
    url.socket_path = *plain;
    return std::nullopt;
}

void mask(std::string& text, const std::string& secret) {
    if (secret.empty()) return;
    for (auto at = text.find(secret); at != std::string::npos; at = text.find(secret, at))
        text.replace(at, secret.size(), "***"), at += 3;
}

bool lacks_password(const Url& url) {
    return (!url.username.empty() && url.password.empty()) ||
           (!url.sentinel_username.empty() && url.sentinel_password.empty());
}

}  // namespace

std::string without_secrets(std::string text, const Url& url) {
    mask(text, url.password);
    mask(text, url.sentinel_password);
    return text;
}

Result<Url> parse_url(std::string_view text) {
    if (text.size() > 4096) return wrong("is longer than 4096 characters");
    if (text.find('\0') != std::string_view::npos) return wrong("has a NUL in it");
    const auto scheme_end = text.find("://");
    if (scheme_end == std::string_view::npos) return wrong("has no scheme");
    const auto scheme = text.substr(0, scheme_end);
    auto rest = text.substr(scheme_end + 3);
    const bool is_unix = scheme == "unix";
    const bool is_sentinel = scheme.ends_with("+sentinel");
    const bool is_tls = scheme == "rediss" || scheme == "rediss+sentinel";
    if (!is_unix && !is_tls && scheme != "redis" && scheme != "redis+sentinel")
        return wrong("does not begin with redis://, rediss://, unix:// or redis+sentinel://");

    Url url;
    url.is_tls = is_tls;
    const auto query_start = std::min(rest.find('?'), rest.size());
    const auto query = rest.substr(std::min(query_start + 1, rest.size()));
    rest = rest.substr(0, query_start);
    const auto path_start = std::min(rest.find('/'), rest.size());
    auto authority = rest.substr(0, path_start);
    const auto path = rest.substr(path_start);

    const auto at = authority.rfind('@');
    if (at != std::string_view::npos) {
        if (!read_login(authority.substr(0, at), url)) return wrong("has a broken %-escape");
        authority.remove_prefix(at + 1);
    }
    auto error = is_unix       ? read_socket(authority, path, url)
                 : is_sentinel ? read_sentinels(authority, path, url)
                               : read_tcp(authority, url);
    // After the service, where there is one.
    const auto service_end = is_sentinel ? std::min(path.find('/', 1), path.size()) : 0;
    if (!error && !is_unix) error = read_database(path.substr(service_end), url);
    if (!error) error = read_query(query, url);
    if (error) return *error;
    if (lacks_password(url)) return wrong("has a user but no password");
    url.shown = shown(url, !url.username.empty() || !url.password.empty());
    return url;
}

}  // namespace muster::redis
