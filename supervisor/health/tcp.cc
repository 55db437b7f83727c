#include "health/tcp.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace muster::health {

namespace {

using namespace std::chrono_literals;

constexpr Duration longest_pause = 500ms;
constexpr Duration attempt_timeout = 2s;

}  // namespace

Result<TcpAddress> parse_address(const std::string& text) {
    TcpAddress address;
    if (text.starts_with('/')) {
        address.socket_path = text;
        return address;
    }
    const auto colon = text.rfind(':');
    const Error wrong{fmt::format("'{}' is not an address", text),
                      "write host:port, or the path of a unix socket"};
    if (colon == std::string::npos || colon == 0) return wrong;
    address.host = text.substr(0, colon);
    if (address.host.starts_with('[') && address.host.ends_with(']')) {
        address.host = address.host.substr(1, address.host.size() - 2);
    }
    const char* end = text.data() + text.size();
    const auto [rest, code] = std::from_chars(text.data() + colon + 1, end, address.port);
    if (code != std::errc{} || rest != end || address.port == 0) return wrong;
    return address;
}

TcpProbe::TcpProbe(loop::Loop& loop, TcpAddress address, std::function<void()> ready)
    : loop_(loop),
      address_(std::move(address)),
      ready_(std::move(ready)),
      resolver_(loop),
      retry_(loop, [this] { attempt(); }) {
    attempt();
}

void TcpProbe::attempt() {
    stream_.reset();
    retry_.arm(loop_.now() + attempt_timeout);  // an attempt that hangs is given up and made again
    if (!address_.socket_path.empty()) {
        stream_ = loop::Stream::connect_unix(
            loop_, address_.socket_path, [this](const Outcome& outcome) { tried(outcome); }, {});
        return;
    }
    resolver_.lookup(address_.host, address_.port,
                     lifeline_.guard([this](Result<std::vector<std::string>> ips) {
                         if (!ips) return tried(ips.error());
                         connect(ips->front());
                     }));
}

void TcpProbe::connect(const std::string& ip) {
    stream_ = loop::Stream::connect_tcp(loop_, ip, address_.port,
                                        [this](const Outcome& outcome) { tried(outcome); }, {});
}

void TcpProbe::tried(const Outcome& outcome) {
    if (outcome) {
        retry_.disarm();
        const std::function<void()> ready =
            std::move(ready_);  // the call may destroy this, and its closure with it
        return ready();
    }
    retry_.arm(loop_.now() + pause_);
    pause_ = std::min(pause_ * 2, longest_pause);
}

}  // namespace muster::health
