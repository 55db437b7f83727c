#include "client/http_client.h"

#include <fmt/format.h>
#include <poll.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>

#include "base/text.h"

namespace muster::client {

namespace {

constexpr std::size_t largest_reply = std::size_t{64} * 1024 * 1024;
constexpr int send_seconds = 10;

std::optional<std::size_t> number_at(std::string_view text) {
    text = trimmed(text);
    std::size_t number = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (code != std::errc{}) return std::nullopt;
    return number;
}

// The value of a header, "" where there is none.
std::string_view header(std::string_view head, std::string_view name) {
    for (;;) {
        const auto line_end = head.find("\r\n");
        if (line_end == std::string_view::npos) return {};
        head.remove_prefix(line_end + 2);
        if (head.size() > name.size() && head[name.size()] == ':' &&
            strncasecmp(head.data(), name.data(), name.size()) == 0)
            return head.substr(name.size() + 1, head.find("\r\n") - name.size() - 1);
    }
}

}  // namespace

Result<HttpClient> HttpClient::connect(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        return Error{fmt::format("{}: longer than the {} bytes that a socket's path can have", path,
                                 sizeof address.sun_path - 1)};
    std::memcpy(address.sun_path, path.data(), path.size());
    UniqueFd fd{socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const timeval patience{.tv_sec = send_seconds, .tv_usec = 0};  // for connect, too
    if (!fd.is_open() ||
        setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) != 0 ||
        ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        const int code = errno;
        return Error{fmt::format(
            "{}: {}", path, code == EAGAIN ? "the supervisor does not answer" : errno_text(code))};
    }
    return HttpClient{std::move(fd), path};
}

Outcome HttpClient::send(std::string_view method, std::string_view target, std::string_view body) {
    const std::string request = fmt::format(
        "{} {} HTTP/1.1\r\nHost: muster\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}",
        method, target, body.size(), body);
    std::string_view rest = request;
    while (!rest.empty()) {
        const ssize_t sent = ::send(fd_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        // It may have answered before it closed (too many connections): that is worth reading.
        if (sent < 0 && errno == EPIPE) return Done{};
        if (sent < 0) return Error{fmt::format("{}: {}", path_, errno_text(errno))};
        rest.remove_prefix(static_cast<std::size_t>(sent));
    }
    return Done{};
}

Outcome HttpClient::read_more(TimePoint deadline) {
    const Error late{fmt::format("{}: no answer in time", path_)};
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init): read fills it
    std::array<char, 65536> buffer;
    for (;;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(
            deadline - std::chrono::steady_clock::now());
        if (left.count() <= 0) return late;
        pollfd wanted{.fd = fd_.get(), .events = POLLIN, .revents = 0};
        const int ready = poll(&wanted, 1, static_cast<int>(left.count()));
        if (ready == 0) return late;
        const ssize_t got = ready < 0 ? -1 : recv(fd_.get(), buffer.data(), buffer.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return Error{fmt::format("{}: {}", path_, errno_text(errno))};
        if (got == 0) return Error{fmt::format("{}: closed before it answered", path_)};
        in_.append(buffer.data(), static_cast<std::size_t>(got));
        if (in_.size() > largest_reply)
            return Error{fmt::format("{}: the answer is too long", path_)};
        return Done{};
    }
}

Result<HttpReply> HttpClient::receive(Duration patience) {
    const TimePoint deadline = std::chrono::steady_clock::now() + patience;
    std::size_t head_end = in_.find("\r\n\r\n");
    while (head_end == std::string::npos) {
        const Outcome more = read_more(deadline);
        if (!more) return more.error();
        head_end = in_.find("\r\n\r\n");
    }
    const std::string head = in_.substr(0, head_end + 2);
    in_.erase(0, head_end + 4);
    const std::string code = head.starts_with("HTTP/1.") ? head.substr(8, 4) : "";
    const std::size_t status = number_at(code).value_or(0);
    if (status >= 200 && status <= 599 && trimmed(header(head, "Transfer-Encoding")) == "chunked")
        return HttpReply{.status = static_cast<int>(status), .body = take_chunks()};
    const auto length = number_at(header(head, "Content-Length"));
    if (status < 200 || status > 599 || !length || *length > largest_reply)
        return Error{fmt::format("{}: what answers there is not muster", path_)};
    while (in_.size() < *length) {
        const Outcome more = read_more(deadline);
        if (!more) return more.error();
    }
    HttpReply reply{.status = static_cast<int>(status), .body = in_.substr(0, *length)};
    in_.erase(0, *length);
    return reply;
}

// The data of the chunks that are here whole.
std::string HttpClient::take_chunks() {
    std::string data;
    for (;;) {
        const auto line_end = in_.find("\r\n");
        if (line_end == std::string::npos) return data;
        std::size_t size = 0;
        const auto [rest, code] = std::from_chars(in_.data(), in_.data() + line_end, size, 16);
        if (code != std::errc{} || size > largest_reply) {  // not HTTP
            has_ended_ = true;
            return data;
        }
        if (in_.size() < line_end + 2 + size + 2) return data;
        data.append(in_, line_end + 2, size);
        in_.erase(0, line_end + 2 + size + 2);
        if (size == 0) {
            has_ended_ = true;
            return data;
        }
    }
}

std::optional<std::string> HttpClient::more() {
    if (has_ended_ || !read_more(std::chrono::steady_clock::now() + std::chrono::hours{1}))
        return std::nullopt;
    std::string data = take_chunks();
    if (data.empty() && has_ended_) return std::nullopt;
    return data;
}

}  // namespace muster::client
