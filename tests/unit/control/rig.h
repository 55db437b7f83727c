#pragma once
// A server on a real socket, and clients that speak to it byte by byte, all on one loop.

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"
#include "control/control_socket.h"
#include "control/http_server.h"
#include "loop/fd_watch.h"
#include "loop/loop.h"
#include "loop/timer.h"

namespace muster::control {

class Folder {
public:
    Folder() {
        std::string name = (std::filesystem::temp_directory_path() / "muster-test-XXXXXX").string();
        path_ = mkdtemp(name.data());
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    [[nodiscard]] std::string operator/(std::string_view name) const {
        return path_ + "/" + std::string(name);
    }

private:
    std::string path_;
};

// False when it did not become true within five seconds.
inline bool run_until(loop::Loop& loop, const std::function<bool()>& is_so) {
    const TimePoint end = loop.now() + std::chrono::seconds{5};
    bool held = is_so();
    std::function<void()> tick;
    loop::Timer timer{loop, [&] { tick(); }};
    tick = [&] {
        held = is_so();
        if (held || loop.now() > end) return loop.stop();
        timer.arm(loop.now() + std::chrono::milliseconds{1});
    };
    if (!held) {
        timer.arm(loop.now());
        loop.run();
    }
    return held;
}

class Client {
public:
    Client(loop::Loop& loop, const std::string& path)
        : fd_(connected(path)), watch_(loop, fd_.get(), [this](bool, bool) { read(); }) {
        watch_.watch(true, false);
    }

    void send(std::string_view bytes) const {
        while (!bytes.empty()) {
            const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (sent <= 0) return;  // the server has had enough
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        }
    }
    void end() const { shutdown(fd_.get(), SHUT_WR); }
    void read_no_more() { watch_.watch(false, false); }
    void read_again() { watch_.watch(true, false); }
    [[nodiscard]] const std::string& received() const { return received_; }
    [[nodiscard]] bool is_closed() const { return is_closed_; }

    // How many answers have come, each with its whole body.
    [[nodiscard]] std::size_t answers() const { return bodies().size(); }
    [[nodiscard]] std::vector<std::string> bodies() const {
        std::vector<std::string> all;
        std::string_view rest = received_;
        for (;;) {
            const auto head_end = rest.find("\r\n\r\n");
            if (head_end == std::string_view::npos) return all;
            const auto at = rest.find("Content-Length: ");
            const std::size_t length =
                at < head_end ? std::strtoul(rest.data() + at + 16, nullptr, 10) : 0;
            if (rest.size() < head_end + 4 + length) return all;
            all.emplace_back(rest.substr(head_end + 4, length));
            rest.remove_prefix(head_end + 4 + length);
        }
    }
    [[nodiscard]] int status() const {  // of the first answer
        return received_.size() > 12 ? std::atoi(received_.c_str() + 9) : 0;
    }

private:
    static int connected(const std::string& path) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, path.data(), path.size());
        const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
            std::abort();
        fcntl(fd, F_SETFL, O_NONBLOCK);
        return fd;
    }
    void read() {
        std::array<char, 65536> buffer{};
        for (;;) {
            const ssize_t got = recv(fd_.get(), buffer.data(), buffer.size(), 0);
            if (got > 0) {
                received_.append(buffer.data(), static_cast<std::size_t>(got));
                continue;
            }
            if (got < 0 && errno == EAGAIN) return;
            is_closed_ = true;
            return watch_.watch(false, false);
        }
    }

    UniqueFd fd_;
    std::string received_;
    bool is_closed_ = false;
    loop::FdWatch watch_;
};

class Rig {
public:
    explicit Rig(HttpServer::Handler handler, HttpLimits limits = {})
        : server(loop, std::move(handler), limits) {
        auto opened = ControlSocket::open(
            loop, path, [this](std::unique_ptr<loop::Stream> s) { server.serve(std::move(s)); });
        if (!opened) std::abort();
        socket = std::move(*opened);
    }

    [[nodiscard]] std::unique_ptr<Client> connect() { return std::make_unique<Client>(loop, path); }
    bool until(const std::function<bool()>& is_so) { return run_until(loop, is_so); }

    // Sends the bytes on a connection of their own; the client, once it has an answer.
    std::unique_ptr<Client> ask(std::string_view bytes) {
        auto client = connect();
        client->send(bytes);
        until([&] { return client->answers() > 0 || client->is_closed(); });
        return client;
    }

    Folder folder;
    const std::string path = folder / "control.sock";
    loop::Loop loop;
    HttpServer server;
    std::unique_ptr<ControlSocket> socket;
};

}  // namespace muster::control
