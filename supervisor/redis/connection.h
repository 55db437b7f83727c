#pragma once
// One connection's life: look up, connect, TLS, AUTH, SELECT, PING; then bytes out and replies in;
// then its end. It never comes back: the client makes a new one.

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "loop/lifeline.h"
#include "loop/loop.h"
#include "loop/resolver.h"
#include "loop/stream.h"
#include "loop/timer.h"
#include "redis/reply.h"
#include "redis/tls.h"
#include "redis/url.h"

namespace muster::redis {

struct ConnectionOptions {
    Url url;
    Duration connect_timeout = std::chrono::seconds{5};
    TlsSettings tls = {};  // for a url that wants it
};

class Connection {
public:
    struct Events {
        std::function<void()> ready;        // greeted: commands may be written
        std::function<void(Reply)> reply;   // in the order of the commands
        std::function<void(Error)> closed;  // once, last; also where it could not be made
        // Each step that was made on the way, in words: for `muster check --connect`.
        std::function<void(const std::string& step)> progress = {};
    };

    Connection(loop::Loop& loop,
               loop::Resolver& resolver,
               const ConnectionOptions& options,
               Events events);
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection() = default;

    void write(std::string bytes);

private:
    enum class Phase : std::uint8_t { connecting, securing, greeting, ready, closed };

    void connect_unix();
    void look_up(loop::Resolver& resolver);
    void try_next_address();
    void connected(const Outcome& outcome);
    void secure();
    void send(std::string bytes);
    void told(const std::string& step);
    void too_late(Duration longest);
    [[nodiscard]] Error ended(const std::optional<Error>& why) const;
    void greet();
    void greeted(const Reply& reply);
    void received(std::string_view bytes);
    void received_plain(std::string_view bytes);
    void close(const Error& error);
    [[nodiscard]] Error refused(const std::string& command, const std::string& text) const;
    [[nodiscard]] loop::Stream::Events stream_events();

    loop::Loop& loop_;
    Url url_;
    TlsSettings tls_settings_;
    Events events_;
    Phase phase_ = Phase::connecting;
    std::vector<std::string> addresses_;  // not yet tried, the next one last
    std::deque<std::string> greetings_;   // names of the commands whose answers are awaited
    ReplyReader reader_;
    // Bytes leave in send() and arrive in received(), nowhere else.
    std::unique_ptr<loop::Stream> stream_;
    std::unique_ptr<Tls> tls_;  // null: plain
    std::string address_;       // being tried
    bool has_heard_ = false;    // a byte of the peer
    loop::Timer timeout_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // seen to end in a foreign call
    loop::Lifeline lifeline_;
};

}  // namespace muster::redis
