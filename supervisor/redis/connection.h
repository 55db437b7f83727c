#pragma once
// One connection's life: look up, connect, AUTH, SELECT, PING; then bytes out and replies in; then
// its end. It never comes back: the client makes a new one.

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
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
#include "redis/url.h"

namespace muster::redis {

class Connection {
public:
    struct Events {
        std::function<void()> ready;        // greeted: commands may be written
        std::function<void(Reply)> reply;   // in the order of the commands
        std::function<void(Error)> closed;  // once, last; also where it could not be made
    };

    Connection(loop::Loop& loop,
               loop::Resolver& resolver,
               const Url& url,
               Duration connect_timeout,
               Events events);
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection() = default;

    void write(std::string bytes);

private:
    enum class Phase : std::uint8_t { connecting, greeting, ready, closed };

    void connect_unix();
    void look_up(loop::Resolver& resolver);
    void try_next_address();
    void connected(const Outcome& outcome);
    void greet();
    void greeted(const Reply& reply);
    void received(std::string_view bytes);
    void close(const Error& error);
    [[nodiscard]] Error refused(const std::string& command, const std::string& text) const;
    [[nodiscard]] loop::Stream::Events stream_events();

    loop::Loop& loop_;
    Url url_;
    Events events_;
    Phase phase_ = Phase::connecting;
    std::vector<std::string> addresses_;  // not yet tried, the next one last
    std::deque<std::string> greetings_;   // names of the commands whose answers are awaited
    ReplyReader reader_;
    // The seam for TLS: bytes leave in write() and greet(), and arrive in received(), nowhere else.
    std::unique_ptr<loop::Stream> stream_;
    loop::Timer timeout_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // seen to end in a foreign call
    loop::Lifeline lifeline_;
};

}  // namespace muster::redis
