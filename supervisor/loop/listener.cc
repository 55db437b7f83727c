#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/text.h"
#include "base/unique_fd.h"
#include "loop/stream.h"

namespace muster::loop {

namespace {

constexpr int backlog = 1024;  // a crowd waits there, or is told EAGAIN

Error not_listening(const std::string& path, const std::string& why, std::string hint = {}) {
    return Error{"listening on " + path + ": " + why, std::move(hint)};
}

sockaddr_un address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

// Nobody answers on it: what a process that was killed leaves behind.
bool is_stale_socket(const std::string& path, const sockaddr_un& address) {
    struct stat info {};
    if (lstat(path.c_str(), &info) != 0 || !S_ISSOCK(info.st_mode)) return false;
    const UniqueFd probe{socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    return connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
           errno == ECONNREFUSED;
}

int bind_to(const UniqueFd& fd, const sockaddr_un& address) {
    return bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

Result<UniqueFd> bound_socket(const std::string& path, mode_t mode) {
    if (path.size() >= sizeof(sockaddr_un::sun_path))
        return not_listening(path, "the path is too long", "at most 107 characters are possible");
    const sockaddr_un address = address_of(path);
    UniqueFd fd{socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    // On Linux the file gets the socket's own mode, less the umask: no moment with more rights.
    if (!fd.is_open() || fchmod(fd.get(), mode) != 0) return not_listening(path, errno_text(errno));
    int status = bind_to(fd, address);
    if (status != 0 && errno == EADDRINUSE && is_stale_socket(path, address)) {
        unlink(path.c_str());
        status = bind_to(fd, address);
    }
    const int why = errno;
    if (status != 0 && why == EADDRINUSE)
        return not_listening(path, errno_text(why),
                             "another process listens there, or the file is no socket");
    if (status != 0) return not_listening(path, errno_text(why));
    if (chmod(path.c_str(), mode) != 0) return not_listening(path, errno_text(errno));
    return fd;
}

}  // namespace

Listener::Listener(Loop& loop, Bound bound, Accepted accepted)
    : Handle(std::move(accepted)), bound_(std::move(bound)) {
    uv_pipe_init(loop.raw(), raw(), 0);  // cannot fail: no descriptor yet
    opened();
}

Listener::~Listener() {
    struct stat info {};
    if (lstat(bound_.path.c_str(), &info) == 0 && info.st_ino == bound_.inode)
        unlink(bound_.path.c_str());
}

Result<std::unique_ptr<Listener>> Listener::listen_unix(Loop& loop,
                                                        const std::string& path,
                                                        mode_t mode,
                                                        Accepted accepted) {
    auto fd = bound_socket(path, mode);
    if (!fd) return fd.error();
    struct stat info {};
    if (lstat(path.c_str(), &info) != 0) return not_listening(path, errno_text(errno));
    auto listener = std::make_unique<Listener>(loop, Bound{path, info.st_ino}, std::move(accepted));
    int status = uv_pipe_open(listener->raw(), fd->get());
    if (status == 0) {
        static_cast<void>(fd->release());  // libuv's now
        status = uv_listen(reinterpret_cast<uv_stream_t*>(listener->raw()), backlog, on_connection);
    }
    if (status != 0) return not_listening(path, uv_strerror(status));
    return listener;
}

void Listener::on_connection(uv_stream_t* server, int status) noexcept {
    if (status != 0) return;  // it went away before it was accepted
    auto stream = std::make_unique<Stream>(Loop::of(server->loop), Stream::Kind::unix_socket);
    if (!stream->accept_from(server)) return;
    fire(reinterpret_cast<uv_pipe_t*>(server), std::move(stream));
}

TcpListener::TcpListener(Loop& loop, Accepted accepted) : Handle(std::move(accepted)) {
    uv_tcp_init(loop.raw(), raw());  // cannot fail: no descriptor yet
    opened();
}

Result<std::unique_ptr<TcpListener>> TcpListener::listen(Loop& loop,
                                                         const std::string& numeric_ip,
                                                         std::uint16_t port,
                                                         Accepted accepted) {
    union {
        sockaddr any;
        sockaddr_in ip4;
        sockaddr_in6 ip6;
    } address{};
    const bool is_ip6 = numeric_ip.find(':') != std::string::npos;
    const std::string shown =
        (is_ip6 ? "[" + numeric_ip + "]:" : numeric_ip + ":") + std::to_string(port);
    auto listener = std::make_unique<TcpListener>(loop, std::move(accepted));
    int status = is_ip6 ? uv_ip6_addr(numeric_ip.c_str(), port, &address.ip6)
                        : uv_ip4_addr(numeric_ip.c_str(), port, &address.ip4);
    if (status == 0) status = uv_tcp_bind(listener->raw(), &address.any, 0);
    if (status == 0)
        status = uv_listen(reinterpret_cast<uv_stream_t*>(listener->raw()), backlog, on_connection);
    if (status == UV_EADDRINUSE)
        return not_listening(shown, uv_strerror(status), "another process listens there");
    if (status != 0) return not_listening(shown, uv_strerror(status));
    return listener;
}

std::uint16_t TcpListener::port() const {
    union {
        sockaddr any;
        sockaddr_in ip4;
        sockaddr_in6 ip6;
    } address{};
    int size = sizeof address;
    if (uv_tcp_getsockname(raw(), &address.any, &size) != 0) return 0;
    return ntohs(address.any.sa_family == AF_INET6 ? address.ip6.sin6_port : address.ip4.sin_port);
}

void TcpListener::on_connection(uv_stream_t* server, int status) noexcept {
    if (status != 0) return;  // it went away before it was accepted
    auto stream = std::make_unique<Stream>(Loop::of(server->loop), Stream::Kind::tcp);
    if (!stream->accept_from(server)) return;
    fire(reinterpret_cast<uv_tcp_t*>(server), std::move(stream));
}

}  // namespace muster::loop
