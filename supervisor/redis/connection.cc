#include "redis/connection.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <utility>

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
                       const Url& url,
                       Duration connect_timeout,
                       Events events)
    : loop_(loop), url_(url), events_(std::move(events)), timeout_(loop, [this, connect_timeout] {
          close(Error{
              fmt::format("{}: no answer within {}", url_.shown, format_duration(connect_timeout)),
              "is it a Redis, and is the way to it open?"});
      }) {
    timeout_.arm(loop.now() + connect_timeout);
    if (!url_.socket_path.empty())
        connect_unix();
    else
        look_up(resolver);
}

void Connection::connect_unix() {
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
                        try_next_address();
                    }));
}

void Connection::try_next_address() {
    const std::string address = std::move(addresses_.back());
    addresses_.pop_back();
    stream_ = loop::Stream::connect_tcp(
        loop_, address, url_.port, [this](const Outcome& outcome) { connected(outcome); },
        stream_events());
}

loop::Stream::Events Connection::stream_events() {
    loop::Stream::Events events;
    events.read = [this](std::string_view bytes) { received(bytes); };
    events.closed = [this](std::optional<Error> why) {
        close(why ? why->while_doing(url_.shown)
                  : Error{fmt::format("{}: the server closed the connection", url_.shown)});
    };
    return events;
}

void Connection::connected(const Outcome& outcome) {
    if (outcome) {
        greet();
    } else if (!addresses_.empty()) {
        try_next_address();
    } else {
        close(outcome.error().while_doing(url_.shown));
    }
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
    stream_->write(std::move(bytes));
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
    if (reply.is_error()) {
        close(refused(command, reply.text));
    } else if (greetings_.empty()) {
        phase_ = Phase::ready;
        timeout_.disarm();
        const auto ready = events_.ready;
        ready();
    }
}

void Connection::received(std::string_view bytes) {
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
    if (phase_ == Phase::ready) stream_->write(std::move(bytes));
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
