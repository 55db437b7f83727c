#pragma once
// Ready when somebody accepts connections: on "host:port", or on a unix socket where the address
// begins with '/'.

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "loop/lifeline.h"
#include "loop/loop.h"
#include "loop/resolver.h"
#include "loop/stream.h"
#include "loop/timer.h"

namespace muster::health {

struct TcpAddress {
    std::string host;  // "" with a unix socket
    std::uint16_t port = 0;
    std::string socket_path;
};
Result<TcpAddress> parse_address(const std::string& text);

class TcpProbe {
public:
    // Tries until it works, then calls `ready` once; it may be destroyed in there.
    TcpProbe(loop::Loop& loop, TcpAddress address, std::function<void()> ready);
    TcpProbe(const TcpProbe&) = delete;
    TcpProbe& operator=(const TcpProbe&) = delete;
    ~TcpProbe() = default;

private:
    void attempt();
    void connect(const std::string& ip);
    void tried(const Outcome& outcome);

    loop::Loop& loop_;
    TcpAddress address_;
    std::function<void()> ready_;
    Duration pause_ = std::chrono::milliseconds{20};
    loop::Resolver resolver_;
    std::unique_ptr<loop::Stream> stream_;
    loop::Timer retry_;
    loop::Lifeline lifeline_;
};

}  // namespace muster::health
