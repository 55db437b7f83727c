// The tables [supervisor] and [redis].

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/text.h"
#include "base/unique_fd.h"
#include "config/load.h"
#include "config/schema.h"

namespace muster::config {

namespace {

constexpr std::size_t longest_url = 4096;

template <class Target, class Type>
void keep(Target& target, std::optional<Type> found) {
    if (found) target = std::move(*found);
}

void read_service(const Value& value, Supervisor& supervisor) {
    const auto name = value.text();
    if (!name) return;
    const bool is_plain = std::none_of(name->begin(), name->end(), [](char c) {
        return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f || c == ':';
    });
    if (name->empty() || name->size() > 128 || !is_plain)
        return value.complain("a service's name is 1 to 128 characters without blanks and colons");
    supervisor.service = *name;
}

void read_control(const Value& value, Supervisor& supervisor) {
    const auto path = value.text();
    if (!path) return;
    if (path->empty())
        return value.complain("is empty; write the path of a socket, or no `control`");
    if (path->size() >= sizeof(sockaddr_un::sun_path))
        return value.complain("is longer than a socket's path can be (107)");
    supervisor.control = *path;
}

void read_log(const Value& value, Supervisor& supervisor) {
    static constexpr Key<Supervisor> keys[] = {
        {"level",
         [](const Value& v, Supervisor& s) {
             static constexpr Choice<LogLevel> levels[] = {{"debug", LogLevel::debug},
                                                           {"info", LogLevel::info},
                                                           {"warn", LogLevel::warn},
                                                           {"error", LogLevel::error},
                                                           {"critical", LogLevel::critical}};
             keep(s.log_level, v.choice(levels));
         }},
        {"format",
         [](const Value& v, Supervisor& s) {
             static constexpr Choice<LogFormat> formats[] = {{"text", LogFormat::text},
                                                             {"json", LogFormat::json}};
             keep(s.log_format, v.choice(formats));
         }},
    };
    read_table<Supervisor>(value, supervisor, keys);
}

// Also while supervising: what is no file (a pipe that nobody writes to) must not be waited for.
Result<std::string> file_text(const std::string& path) {
    const UniqueFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (!file.is_open()) return Error{fmt::format("cannot be read: {}", errno_text(errno))};
    std::string text(longest_url + 1, '\0');
    std::size_t size = 0;
    while (size < text.size()) {
        const ssize_t got = ::read(file.get(), text.data() + size, text.size() - size);
        if (got < 0) return Error{fmt::format("cannot be read: {}", errno_text(errno))};
        if (got == 0) break;
        size += static_cast<std::size_t>(got);
    }
    text.resize(size);
    return std::string(trimmed(text));
}

template <void (*read)(const Value&, Supervisor&)>
void in_supervisor(const Value& value, SupervisorDraft& draft) {
    read(value, draft.supervisor);
}

std::optional<HttpAddress> parse_http(std::string_view text) {
    const auto colon = text.rfind(':');
    if (colon == text.npos) return std::nullopt;
    std::string_view host = text.substr(0, colon);
    const std::string_view port = text.substr(colon + 1);
    HttpAddress address;
    const auto [end, code] = std::from_chars(port.data(), port.data() + port.size(), address.port);
    if (code != std::errc{} || end != port.data() + port.size() || address.port == 0)
        return std::nullopt;
    if (host.size() > 2 && host.starts_with('[') && host.ends_with(']')) {
        address.ip = host.substr(1, host.size() - 2);
        in6_addr ip6{};
        if (inet_pton(AF_INET6, address.ip.c_str(), &ip6) != 1) return std::nullopt;
        return address;
    }
    if (host == "localhost") host = "127.0.0.1";
    if (host.empty() || host == "*") host = "0.0.0.0";
    address.ip = host;
    in_addr ip4{};
    if (inet_pton(AF_INET, address.ip.c_str(), &ip4) != 1) return std::nullopt;
    return address;
}

void read_http(const Value& value, SupervisorDraft& draft) {
    draft.http_at = value.position();  // also where it is wrong: one complaint is enough
    const auto text = value.text();
    if (!text) return;
    draft.supervisor.http = parse_http(*text);
    if (!draft.supervisor.http)
        value.complain(
            fmt::format("{} is no address and port; write 127.0.0.1:9001, [::1]:9001 or "
                        "0.0.0.0:9001",
                        value.in_quotes()));
}

void read_http_token_file(const Value& value, Supervisor& supervisor) {
    const auto path = value.text();
    if (!path) return;
    supervisor.http_token_file = *path;  // also where it is wrong: one complaint is enough
    auto text = file_text(*path);
    if (!text) return value.complain(text.error().message());
    if (text->empty() || text->size() > longest_url ||
        std::any_of(text->begin(), text->end(),
                    [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f; }))
        return value.complain("must hold one secret of 1 to 4096 characters without blanks");
    supervisor.http_token = std::move(*text);
}

void read_include(const Value& value, SupervisorDraft& draft) {
    value.each_item([&](const Value& item) {
        auto pattern = item.text();
        if (pattern && pattern->empty()) return item.complain("is empty");
        if (!pattern) return;
        draft.include.push_back(std::move(*pattern));
        draft.include_at.push_back(item.position());
    });
}

void take_url(const Value& value, std::string url, RedisDraft& draft) {
    draft.has_url = true;
    draft.url_at = value.position();
    if (const auto why = wrong_redis_url(url); !why.empty()) value.complain(why);
    draft.redis.url = std::move(url);
}

void read_url(const Value& value, RedisDraft& draft) {
    if (draft.has_url) return value.complain_of_key("there is a url_file too; write one of them");
    draft.has_url = true;  // also where it is wrong: one complaint is enough
    if (auto url = value.text()) take_url(value, std::move(*url), draft);
}

void read_url_key_file(const Value& value, RedisDraft& draft) {
    if (draft.has_url) return value.complain_of_key("there is a url too; write one of them");
    draft.has_url = true;
    const auto path = value.text();
    if (!path) return;
    auto text = file_text(*path);
    if (!text) return value.complain(text.error().message());
    take_url(value, std::move(*text), draft);
    draft.redis.url_file = *path;
}

template <std::string Tls::*member>
void read_tls_file(const Value& value, Tls& tls) {
    const auto path = value.text();
    if (!path || path->empty()) return;
    if (access(path->c_str(), R_OK) != 0)
        return value.complain(fmt::format("cannot be read: {}", errno_text(errno)));
    tls.*member = *path;
}

void read_tls(const Value& value, RedisDraft& draft) {
    static constexpr Key<Tls> keys[] = {
        {"ca_file", read_tls_file<&Tls::ca_file>},
        {"verify",
         [](const Value& v, Tls& t) {
             static constexpr Choice<Tls::Verify> choices[] = {
                 {"full", Tls::Verify::full}, {"ca", Tls::Verify::ca}, {"none", Tls::Verify::none}};
             keep(t.verify, v.choice(choices));
         }},
        {"cert_file", read_tls_file<&Tls::cert_file>},
        {"key_file", read_tls_file<&Tls::key_file>},
    };
    static constexpr OtherName others[] = {
        {"ca", "ca_file"},       {"ca_certs", "ca_file"},           {"cafile", "ca_file"},
        {"cert", "cert_file"},   {"certfile", "cert_file"},         {"key", "key_file"},
        {"keyfile", "key_file"}, {"insecure", "verify = \"none\""},
    };
    Tls& tls = draft.redis.tls;
    read_table<Tls>(value, tls, keys, others);
    if (!tls.key_file.empty() && tls.cert_file.empty())
        value.complain("has a key_file but no cert_file");
}

template <std::optional<Duration> RedisDraft::*member>
void read_interval(const Value& value, RedisDraft& draft) {
    const auto length = value.duration();
    if (length && *length < std::chrono::seconds{1}) return value.complain("must be at least 1s");
    draft.*member = length;
}

void read_prefix(const Value& value, RedisDraft& draft) {
    const auto prefix = value.text();
    if (!prefix) return;
    constexpr std::string_view allowed =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:-";
    if (prefix->empty() || prefix->size() > 64 ||
        prefix->find_first_not_of(allowed) != std::string::npos)
        return value.complain("a prefix is 1 to 64 of A-Z a-z 0-9 _ . : -");
    draft.redis.prefix = *prefix;
}

template <Duration Redis::*member>
void read_redis_time(const Value& value, RedisDraft& draft) {
    keep(draft.redis.*member, value.duration());
}

// A deadline of nothing would make every attempt fail.
template <Duration Redis::*member>
void read_redis_deadline(const Value& value, RedisDraft& draft) {
    const auto length = value.duration();
    if (length && *length <= Duration::zero()) return value.complain("must be longer than 0");
    keep(draft.redis.*member, length);
}

bool is_number_up_to(std::string_view text, std::uint32_t least, std::uint32_t most) {
    std::uint32_t number = 0;
    const auto [rest, code] = std::from_chars(text.data(), text.data() + text.size(), number);
    return code == std::errc{} && rest == text.data() + text.size() && number >= least &&
           number <= most;
}

bool has_broken_escape(std::string_view text) {
    constexpr std::string_view hex = "0123456789abcdefABCDEF";
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') continue;
        if (i + 2 >= text.size() || hex.find(text[i + 1]) == hex.npos ||
            hex.find(text[i + 2]) == hex.npos)
            return true;
    }
    return false;
}

std::string_view wrong_address(std::string_view address) {
    if (address.starts_with('[')) {
        const auto close = address.find(']');
        if (close == address.npos) return "has a [ without a ]";
        address.remove_prefix(close + 1);
        if (!address.empty() && address.front() != ':') return "has something after the ]";
    }
    const auto colon = address.find(':');
    if (colon != address.npos && colon + 1 < address.size() &&
        !is_number_up_to(address.substr(colon + 1), 1, 65535))
        return "has a port that is not a number from 1 to 65535";
    return {};
}

// What follows the login of redis+sentinel://: host:port,host:port/service/db
std::string_view wrong_sentinels(std::string_view address, std::string_view path) {
    for (const std::string& one : split(address, ',')) {
        if (one.empty() || one.starts_with(':')) return "names no host of a sentinel";
        if (const auto why = wrong_address(one); !why.empty()) return why;
    }
    path.remove_prefix(std::min<std::size_t>(1, path.size()));
    const auto slash = std::min(path.find('/'), path.size());
    if (slash == 0) return "names no service: redis+sentinel://host:26379/SERVICE/0";
    const auto database = path.substr(std::min(slash + 1, path.size()));
    if (!database.empty() && !is_number_up_to(database, 0, UINT32_MAX))
        return "has a database (after the last /) that is not a number";
    return {};
}

std::string_view wrong_query(std::string_view query, bool is_sentinel) {
    for (const std::string& pair : split(query, '&')) {
        const auto key = pair.substr(0, pair.find('='));
        const bool is_sentinels = key == "sentinel_username" || key == "sentinel_password";
        if (key == "db" &&
            !is_number_up_to(std::string_view(pair).substr(pair.find('=') + 1), 0, UINT32_MAX))
            return "has a db that is not a number";
        if (!key.empty() && key != "db" && key != "username" && key != "password" &&
            !(is_sentinels && is_sentinel))
            return "has a query key other than db, username and password";
    }
    return {};
}

#ifdef MUSTER_TLS
constexpr bool has_tls = true;
#else
constexpr bool has_tls = false;
#endif

bool is_known_scheme(std::string_view scheme) {
    static constexpr std::string_view known[] = {"redis", "rediss", "unix", "redis+sentinel",
                                                 "rediss+sentinel"};
    return std::find(std::begin(known), std::end(known), scheme) != std::end(known);
}

std::string_view wrong_url(std::string_view url) {
    const auto scheme_end = url.find("://");
    if (url.empty()) return "is empty";
    if (url.size() > longest_url) return "is longer than 4096 characters";
    if (url.find('\0') != url.npos) return "has a NUL in it";
    if (scheme_end == url.npos) return "has no scheme";
    const auto scheme = url.substr(0, scheme_end);
    const bool is_sentinel = scheme.ends_with("+sentinel");
    if (!is_known_scheme(scheme))
        return "does not begin with redis://, rediss://, unix:// or redis+sentinel://";
    if (scheme.starts_with("rediss") && !has_tls)
        return "asks for TLS, which this muster was built without";
    if (has_broken_escape(url)) return "has a broken %-escape";
    auto rest = url.substr(scheme_end + 3);
    const auto query = std::min(rest.find('?'), rest.size());
    if (const auto why = wrong_query(rest.substr(std::min(query + 1, rest.size())), is_sentinel);
        !why.empty())
        return why;
    rest = rest.substr(0, query);
    const auto slash = std::min(rest.find('/'), rest.size());
    auto address = rest.substr(0, slash);
    const auto path = rest.substr(slash);
    if (const auto at = address.rfind('@'); at != address.npos) address.remove_prefix(at + 1);
    if (is_sentinel) return wrong_sentinels(address, path);
    if (scheme == "unix") {
        if (!address.empty()) return "needs three slashes before the socket's path";
        return path.size() < 2 ? "names no socket" : "";
    }
    if (const auto why = wrong_address(address); !why.empty()) return why;
    if (path.size() > 1 && !is_number_up_to(path.substr(1), 0, UINT32_MAX))
        return "has a database (after the last /) that is not a number";
    return {};
}

}  // namespace

void read_supervisor(const Value& value, SupervisorDraft& draft) {
    static constexpr Key<SupervisorDraft> keys[] = {
        {"service", in_supervisor<read_service>},
        {"control", in_supervisor<read_control>},
        {"http", read_http},
        {"http_token_file", in_supervisor<read_http_token_file>},
        {"log", in_supervisor<read_log>},
        {"shutdown_timeout",
         [](const Value& v, SupervisorDraft& d) {
             keep(d.supervisor.shutdown_timeout, v.duration());
         }},
        {"include", read_include},
    };
    static constexpr OtherName others[] = {
        {"identifier", "service"},  {"loglevel", "log = { level = … }"},
        {"files", "include"},       {"file", "control"},
        {"socket", "control"},      {"port", "http"},
        {"log_level", "log.level"}, {"log_format", "log.format"},
        {"name", "service"},
    };
    read_table<SupervisorDraft>(value, draft, keys, others);
    const Supervisor& supervisor = draft.supervisor;
    if (!supervisor.http && !draft.http_at && !supervisor.http_token_file.empty())
        value.complain("has an http_token_file, but no http that it is for");
    if (supervisor.http && !supervisor.http->is_loopback() && supervisor.http_token_file.empty())
        value.reading().complain(
            *draft.http_at,
            "supervisor.http: whoever reaches this address could stop everything; name a file with "
            "a secret (http_token_file), or a loopback address (127.0.0.1:9001)");
}

void read_redis(const Value& value, RedisDraft& draft) {
    static constexpr Key<RedisDraft> keys[] = {
        {"url", read_url},
        {"url_file", read_url_key_file},
        {"tls", read_tls},
        {"prefix", read_prefix},
        {"connect_timeout", read_redis_deadline<&Redis::connect_timeout>},
        {"command_timeout", read_redis_deadline<&Redis::command_timeout>},
        {"lease", read_interval<&RedisDraft::lease>},
        {"sweep", read_interval<&RedisDraft::sweep>},
        {"economy", [](const Value& v, RedisDraft& d) { keep(d.redis.economy, v.boolean()); }},
        {"wait", read_redis_time<&Redis::wait>},
        {"release_wait", read_redis_time<&Redis::release_wait>},
    };
    static constexpr OtherName others[] = {
        {"host", "url"},
        {"port", "url"},
        {"db", "url"},
        {"password", "url_file"},
        {"password_file", "url_file"},
        {"timeout", "command_timeout"},
        {"sweep_interval", "sweep"},
        {"ssl", "tls, with a URL that begins with rediss://"},
    };
    read_table<RedisDraft>(value, draft, keys, others);
    Redis& redis = draft.redis;
    if (redis.economy) {
        redis.lease = 2 * redis.lease;
        redis.sweep = 5 * redis.sweep;
        redis.own_check = 5 * redis.own_check;
    }
    redis.lease = draft.lease.value_or(redis.lease);
    redis.sweep = draft.sweep.value_or(redis.sweep);
}

Result<std::string> read_url_file(const std::string& path) {
    auto text = file_text(path);
    if (!text) return text.error().while_doing("redis.url_file " + path);
    if (const auto why = wrong_redis_url(*text); !why.empty())
        return Error{fmt::format("redis.url_file {}: {}", path, why)};
    return text;
}

std::string wrong_redis_url(std::string_view url) {
    const auto why = wrong_url(url);
    if (why.empty()) return {};
    return fmt::format(
        "the Redis URL {}; write redis://user:password@host:6379/0, rediss://… for TLS or "
        "unix:///path?db=0, with @ / : ? # % of a password as %40 %2F %3A %3F %23 %25",
        why);
}

std::optional<std::string> redis_url_of_environment(const Environment& environment,
                                                    std::string& variable) {
    for (const char* name : {"MUSTER_REDIS_URL", "REDIS_URL"}) {
        auto url = environment(name);
        if (!url || url->empty()) continue;
        variable = name;
        return url;
    }
    return std::nullopt;
}

std::string own_hostname() {
    std::array<char, 256> name{};
    if (gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "localhost";
    return name.data();
}

}  // namespace muster::config
