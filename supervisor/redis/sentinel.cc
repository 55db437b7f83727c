#include "redis/sentinel.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "redis/command.h"

namespace muster::redis {
namespace {

std::optional<Address> address_in(const Reply& reply) {
    const auto& parts = reply.elements;
    if (!reply.is_array() || parts.size() != 2 || !std::ranges::all_of(parts, &Reply::is_text))
        return std::nullopt;
    const std::string& port = parts[1].text;
    Address found{.host = parts[0].text};
    const auto [rest, code] = std::from_chars(port.data(), port.data() + port.size(), found.port);
    if (code != std::errc{} || rest != port.data() + port.size() || found.port == 0 ||
        found.host.empty() || found.host.size() > 255)
        return std::nullopt;
    return found;
}

}  // namespace

Sentinel::Sentinel(loop::Loop& loop,
                   loop::Resolver& resolver,
                   const ConnectionOptions& options,
                   std::size_t first,
                   Found found)
    : loop_(loop),
      resolver_(resolver),
      options_(options),
      first_(first),
      found_(std::move(found)),
      timeout_(loop, [this] { failed(Error{fmt::format("{}: no answer", options_.url.shown)}); }) {
    const auto count = static_cast<std::int64_t>(options_.url.sentinels.size());
    options_.connect_timeout =
        std::max<Duration>(std::chrono::seconds{1}, options_.connect_timeout / count);
    ask_next();
}

void Sentinel::ask_next() {
    const Url& all = options_.url;
    const Address& one = all.sentinels[(first_ + asked_) % all.sentinels.size()];
    ConnectionOptions options = options_;
    options.url = Url{};
    options.url.host = one.host;
    options.url.port = one.port;
    options.url.username = all.sentinel_username;
    options.url.password = all.sentinel_password;
    options.url.is_tls = all.is_tls;
    options.url.shown = fmt::format("sentinel {}:{}", one.host, one.port);
    timeout_.arm(loop_.now() + options_.connect_timeout);
    connection_ =
        std::make_unique<Connection>(loop_, resolver_, options,
                                     Connection::Events{
                                         .ready = [this] { ask(); },
                                         .reply = [this](const Reply& reply) { answered(reply); },
                                         .closed = [this](const Error& error) { failed(error); },
                                     });
}

void Sentinel::ask() {
    connection_->write(formatted(
        std::array<std::string, 3>{"SENTINEL", "get-master-addr-by-name", options_.url.service}));
}

void Sentinel::answered(const Reply& reply) {
    const std::size_t index = (first_ + asked_) % options_.url.sentinels.size();
    const Address& one = options_.url.sentinels[index];
    if (auto master = address_in(reply)) {
        timeout_.disarm();
        connection_.reset();
        const auto found = std::move(found_);
        return found(Answer{std::move(*master), index});
    }
    failed(Error{reply.is_error()
                     ? fmt::format("sentinel {}:{}: {}", one.host, one.port,
                                   without_secrets(reply.text, options_.url).substr(0, 200))
                     : fmt::format("sentinel {}:{} does not know a service '{}'", one.host,
                                   one.port, options_.url.service),
                 reply.is_error() ? "" : "redis+sentinel://host:port/SERVICE/0 names it"});
}

void Sentinel::failed(const Error& error) {
    timeout_.disarm();
    connection_.reset();
    if (++asked_ < options_.url.sentinels.size()) return ask_next();
    const auto found = std::move(found_);
    found(Error{fmt::format("{}: no sentinel says who the master is; the last one: {}",
                            options_.url.shown, error.message()),
                error.hint()});
}

}  // namespace muster::redis
