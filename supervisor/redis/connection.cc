#include "redis/connection.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <utility>

#include "base/text.h"
#include "redis/command.h"
#include "redis/fault.h"

namespace muster::redis {
namespace {

bool is_numeric(const std::string& host) {
    in6_addr address{};
    return inet_pton(AF_INET, host.c_str(), &address) == 1 ||
           inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

}  // namespace

Connection::Connection(loop::Loop& loop,
                       loop::Resolver& resolver,
                       const ConnectionOptions& options,
                       Events events)
    : loop_(loop),
      url_(options.url),
      tls_settings_(options.tls),
      events_(std::move(events)),
      timeout_(loop, [this, longest = options.connect_timeout] { too_late(longest); }) {
    timeout_.arm(loop.now() + options.connect_timeout);
    if (!url_.socket_path.empty())
        connect_unix();
    else
        look_up(resolver);
}

void Connection::too_late(Duration longest) {
    const bool is_securing = phase_ == Phase::securing;
    close(Error{fmt::format("{}: no answer{} within {}", url_.shown,
                            is_securing ? " to the TLS handshake" : "", format_duration(longest)),
                is_securing ? "does it speak TLS on this port? redis:// is without"
                            : "is it a Redis, and is the way to it open?"});
}

void Connection::told(const std::string& step) {
    if (events_.progress) events_.progress(step);
}

void Connection::connect_unix() {
    address_ = url_.socket_path;
    stream_ = loop::Stream::connect_unix(
        loop_, url_.socket_path, [this](const Outcome& outcome) { connected(outcome); },
        stream_events());
}

void Connection::look_up(loop::Resolver& resolver) {
    if (is_numeric(url_.host)) {
        addresses_.push_back(url_.host);
        try_next_address();
        return;
    }
    resolver.lookup(url_.host, url_.port,
                    lifeline_.guard([this](Result<std::vector<std::string>> found) {
                        if (!found) {
                            close(found.error().while_doing(url_.shown));
                            return;
                        }
                        addresses_.assign(found->rbegin(), found->rend());
                        told(fmt::format("{} is {}", url_.host, joined(*found, ", ")));
                        try_next_address();
                    }));
}

void Connection::try_next_address() {
    address_ = std::move(addresses_.back());
    addresses_.pop_back();
    stream_ = loop::Stream::connect_tcp(
        loop_, address_, url_.port, [this](const Outcome& outcome) { connected(outcome); },
        stream_events());
}

loop::Stream::Events Connection::stream_events() {
    loop::Stream::Events events;
    events.read = [this](std::string_view bytes) { received(bytes); };
    events.closed = [this](const std::optional<Error>& why) { close(ended(why)); };
    return events;
}

// A server that hears TLS where it expects Redis, or the reverse, mostly just goes away; so does
// one that wants a certificate of ours, since in TLS 1.3 it says so after our handshake is over.
Error Connection::ended(const std::optional<Error>& why) const {
    const std::string what = fmt::format("{}: {}", url_.shown,
                                         why ? why->message() : "the server closed the connection");
    if (phase_ == Phase::securing) {
        return Error{what + " during the TLS handshake",
                     "does it speak TLS on this port? redis:// is without"};
    }
    if (phase_ == Phase::greeting && tls_)
        return Error{what + " right after the TLS handshake",
                     "perhaps it wants a certificate of ours: redis.tls cert_file and key_file"};
    if (phase_ == Phase::greeting && !has_heard_)
        return Error{what, "does it want TLS? rediss:// is with"};
    return Error{what, why ? why->hint() : std::string{}};
}

void Connection::connected(const Outcome& outcome) {
    if (outcome) {
        told("connected to " + address_);
        if (url_.is_tls)
            secure();
        else
            greet();
    } else if (!addresses_.empty()) {
        try_next_address();
    } else {
        close(outcome.error().while_doing(url_.shown));
    }
}

void Connection::secure() {
    phase_ = Phase::securing;
    auto made = Tls::create(tls_settings_, url_.host);
    if (!made) return close(made.error().while_doing(url_.shown));
    tls_ = std::move(*made);
    if (auto started = tls_->start(); !started)
        return close(started.error().while_doing(url_.shown));
    stream_->write(tls_->take_outgoing());
}

void Connection::send(std::string bytes) {
    if (!tls_) return stream_->write(std::move(bytes));
    const Outcome written = tls_->write(bytes);
    stream_->write(tls_->take_outgoing());
    if (!written) close(written.error().while_doing(url_.shown));
}

// The PING shows at once what any command would meet: no password given, or data still loading.
void Connection::greet() {
    phase_ = Phase::greeting;
    std::string bytes;
    const auto say = [&](std::vector<std::string> argv) {
        bytes += formatted(argv);
        greetings_.push_back(argv.front());
    };
    if (!url_.username.empty())
        say({"AUTH", url_.username, url_.password});
    else if (!url_.password.empty())
        say({"AUTH", url_.password});
    if (url_.database != 0) say({"SELECT", std::to_string(url_.database)});
    say({"PING"});
    send(std::move(bytes));
}

Error Connection::refused(const std::string& command, const std::string& text) const {
    const std::string why = without_secrets(text, url_).substr(0, 200);
    std::string what = url_.shown;
    if (text.starts_with("NOAUTH"))
        what += ": Redis wants a password";
    else if (command == "AUTH" && classify(text) != Fault::later)
        what += ": Redis refuses the password";
    else
        what += fmt::format(": {} was refused", command);
    return fault_error(what, why);
}

void Connection::greeted(const Reply& reply) {
    const std::string command = std::move(greetings_.front());
    greetings_.pop_front();
    // A PING that our user may not send has shown what it should.
    const bool is_harmless = command == "PING" && classify(reply.text) == Fault::refused;
    if (reply.is_error() && !is_harmless) {
        close(refused(command, reply.text));
    } else if (greetings_.empty()) {
        phase_ = Phase::ready;
        timeout_.disarm();
        const auto ready = events_.ready;
        ready();
    }
}

void Connection::received(std::string_view bytes) {
    has_heard_ = true;
    if (!tls_) return received_plain(bytes);
    std::string plain;
    const Outcome fed = tls_->feed(bytes, plain);
    stream_->write(tls_->take_outgoing());  // also why it failed, should the peer care
    if (phase_ == Phase::securing && tls_->is_established()) {
        told(tls_->description());
        greet();
    }
    const std::weak_ptr<bool> alive = alive_;
    if (!plain.empty() && phase_ != Phase::closed) received_plain(plain);
    if (!fed && !alive.expired()) close(fed.error().while_doing(url_.shown));
}

void Connection::received_plain(std::string_view bytes) {
    const std::weak_ptr<bool> alive = alive_;
    const auto on_reply = events_.reply;
    if (auto fed = reader_.feed(bytes); !fed) {
        close(fed.error().while_doing(url_.shown));
        return;
    }
    while (!alive.expired() && phase_ != Phase::closed) {
        auto reply = reader_.next();
        if (!reply) {
            close(reply.error().while_doing(url_.shown));
            return;
        }
        if (!*reply) return;
        if (phase_ == Phase::greeting)
            greeted(**reply);
        else
            on_reply(std::move(**reply));
    }
}

void Connection::write(std::string bytes) {
    if (phase_ == Phase::ready) send(std::move(bytes));
}

void Connection::close(const Error& error) {
    if (phase_ == Phase::closed) return;
    phase_ = Phase::closed;
    timeout_.disarm();
    stream_.reset();
    const auto closed = std::move(events_.closed);
    closed(error);
}

}  // namespace muster::redis
