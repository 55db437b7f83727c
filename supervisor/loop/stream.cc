#include "loop/stream.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <span>
#include <utility>

namespace muster::loop {

namespace {

enum class Phase : std::uint8_t { connecting, open, over };
enum class Reading : std::uint8_t { wanted, paused, ended };
enum class WhenWritten : std::uint8_t { stay, shut_down, close };

}  // namespace

// Reached by libuv's callbacks, also after the Stream is gone: then it is silenced.
struct Stream::Body {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_pipe_t pipe;
        uv_tcp_t tcp;
    } raw{};
    bool silenced = false;
    Phase phase = Phase::connecting;
    Reading reading = Reading::wanted;
    WhenWritten when_written = WhenWritten::stay;
    bool is_writing = false;  // write_request is with libuv
    std::string in_flight;    // of write_request
    std::string pending;      // to follow it, in one piece
    std::string peer;         // for messages
    std::optional<Error> failure;
    Connected connected;
    Events events;
    uv_connect_t connect_request{};
    uv_write_t write_request{};
    uv_shutdown_t shutdown_request{};

    static Body& of(const uv_stream_t* stream) { return *static_cast<Body*>(stream->data); }

    static void on_connect(uv_connect_t* request, int status) noexcept;
    static void on_buffer(uv_handle_t* handle, std::size_t, uv_buf_t* buffer) noexcept;
    static void on_read(uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) noexcept;
    static void on_written(uv_write_t* request, int status) noexcept;

    void set_reading();
    int send(std::string bytes);
    void all_written();
    void not_connected(Error error);
    void finish(std::optional<Error> why);
};

void Stream::Body::on_connect(uv_connect_t* request, int status) noexcept {
    Body& self = of(request->handle);
    if (self.silenced) return;
    if (status == 0 && !self.pending.empty()) {
        self.phase = Phase::open;
        status = self.send(std::exchange(self.pending, {}));
    }
    if (status != 0) {
        self.not_connected(uv_error("connecting to " + self.peer, status));
        return;
    }
    self.phase = Phase::open;
    const Connected connected = std::move(self.connected);
    connected(Done{});
    if (self.silenced) return;
    self.set_reading();
    if (!self.is_writing && self.when_written != WhenWritten::stay) self.all_written();
}

void Stream::Body::on_buffer(uv_handle_t* handle, std::size_t, uv_buf_t* buffer) noexcept {
    const std::span<char> room = Loop::of(handle->loop).read_buffer();
    *buffer = uv_buf_init(room.data(), static_cast<unsigned>(room.size()));
}

void Stream::Body::on_read(uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) noexcept {
    Body& self = of(stream);
    if (self.silenced || size == 0) return;
    if (size > 0) {
        if (self.events.read) self.events.read({buffer->base, static_cast<std::size_t>(size)});
        return;
    }
    self.reading = Reading::ended;
    self.set_reading();
    if (size != UV_EOF) {
        self.finish(uv_error("reading", static_cast<int>(size)));
    } else if (self.events.ended) {
        self.events.ended();
    } else {
        self.finish(std::nullopt);
    }
}

void Stream::Body::set_reading() {
    if (phase == Phase::open && reading == Reading::wanted)
        uv_read_start(&raw.stream, on_buffer, on_read);  // harmless where it was started before
    else
        uv_read_stop(&raw.stream);
}

int Stream::Body::send(std::string bytes) {
    in_flight = std::move(bytes);
    const uv_buf_t buffer = uv_buf_init(in_flight.data(), static_cast<unsigned>(in_flight.size()));
    const int status = uv_write(&write_request, &raw.stream, &buffer, 1, on_written);
    is_writing = status == 0;
    return status;
}

void Stream::Body::on_written(uv_write_t* request, int status) noexcept {
    Body& self = of(request->handle);
    self.is_writing = false;
    if (self.silenced || self.phase == Phase::over) return;
    self.in_flight = {};
    if (status == 0 && !self.pending.empty()) {
        status = self.send(std::exchange(self.pending, {}));
        if (status == 0) return;
    }
    if (status != 0)
        self.finish(uv_error("writing", status));
    else
        self.all_written();
}

void Stream::Body::all_written() {
    switch (when_written) {
        case WhenWritten::stay:
            if (events.drained) events.drained();
            return;
        case WhenWritten::shut_down:
            // A peer that is gone by now is told by the read.
            uv_shutdown(&shutdown_request, &raw.stream, [](uv_shutdown_t*, int) {});
            return;
        case WhenWritten::close:
            finish(std::nullopt);
            return;
    }
}

void Stream::Body::not_connected(Error error) {
    phase = Phase::over;
    const Connected told = std::move(connected);
    told(std::move(error));
}

void Stream::Body::finish(std::optional<Error> why) {
    if (phase == Phase::over) return;
    phase = Phase::over;
    uv_read_stop(&raw.stream);
    pending = {};
    if (events.closed) events.closed(std::move(why));
}

Stream::Stream(Loop& loop, Kind kind)
    : body_(std::make_unique<Body>()), later_(loop, [this] { tell_later(); }) {
    if (kind == Kind::unix_socket) {
        uv_pipe_init(loop.raw(), &body_->raw.pipe, 0);
    } else {
        uv_tcp_init(loop.raw(), &body_->raw.tcp);  // both cannot fail: no descriptor yet
        uv_tcp_nodelay(&body_->raw.tcp, 1);
        uv_tcp_keepalive(&body_->raw.tcp, 1, 60);
    }
    body_.opened();
}

Stream::~Stream() = default;

std::unique_ptr<Stream> Stream::connect_unix(Loop& loop,
                                             const std::string& path,
                                             Connected connected,
                                             Events events) {
    auto stream = std::make_unique<Stream>(loop, Kind::unix_socket);
    Body& body = *stream->body_.get();
    body.peer = path;
    body.connected = std::move(connected);
    body.events = std::move(events);
    if (path.size() >= sizeof(sockaddr_un::sun_path)) {  // libuv would cut it off
        stream->fail_soon(uv_error("connecting to " + path, UV_ENAMETOOLONG));
        return stream;
    }
    uv_pipe_connect(&body.connect_request, &body.raw.pipe, path.c_str(), Body::on_connect);
    return stream;
}

std::unique_ptr<Stream> Stream::connect_tcp(Loop& loop,
                                            const std::string& numeric_ip,
                                            std::uint16_t port,
                                            Connected connected,
                                            Events events) {
    auto stream = std::make_unique<Stream>(loop, Kind::tcp);
    Body& body = *stream->body_.get();
    const bool is_ip6 = numeric_ip.find(':') != std::string::npos;
    body.peer = (is_ip6 ? "[" + numeric_ip + "]" : numeric_ip) + ":" + std::to_string(port);
    body.connected = std::move(connected);
    body.events = std::move(events);
    union {
        sockaddr any;
        sockaddr_in ip4;
        sockaddr_in6 ip6;
    } address{};
    int status = is_ip6 ? uv_ip6_addr(numeric_ip.c_str(), port, &address.ip6)
                        : uv_ip4_addr(numeric_ip.c_str(), port, &address.ip4);
    if (status == 0)
        status =
            uv_tcp_connect(&body.connect_request, &body.raw.tcp, &address.any, Body::on_connect);
    // No route, no descriptor left: libuv says so at once.
    if (status != 0) stream->fail_soon(uv_error("connecting to " + body.peer, status));
    return stream;
}

bool Stream::accept_from(uv_stream_t* server) {
    body_->phase = Phase::open;
    body_->reading = Reading::paused;
    return uv_accept(server, &body_->raw.stream) == 0;
}

void Stream::fail_soon(Error error) {
    body_->failure = std::move(error);
    later_.arm(TimePoint{});
}

void Stream::tell_later() {
    if (body_->phase == Phase::connecting)
        body_->not_connected(std::move(*body_->failure));
    else
        body_->finish(std::exchange(body_->failure, std::nullopt));
}

void Stream::start(Events events) {
    body_->events = std::move(events);
    body_->reading = Reading::wanted;
    body_->set_reading();
}

void Stream::write(std::string bytes) {
    Body& body = *body_.get();
    if (body.phase == Phase::over || body.when_written != WhenWritten::stay) return;
    if (body.phase == Phase::connecting || body.is_writing) {
        body.pending += bytes;
        return;
    }
    const uv_buf_t buffer = uv_buf_init(bytes.data(), static_cast<unsigned>(bytes.size()));
    const int written = uv_try_write(&body.raw.stream, &buffer, 1);
    if (written == static_cast<int>(bytes.size())) return;
    if (written > 0) bytes.erase(0, static_cast<std::size_t>(written));
    // An error comes back from here too, but to on_written, in another turn.
    const int status = body.send(std::move(bytes));
    if (status != 0) fail_soon(uv_error("writing", status));
}

std::size_t Stream::queued() const {
    return uv_stream_get_write_queue_size(&body_->raw.stream) + body_->pending.size();
}

void Stream::pause_reading(bool paused) {
    if (body_->reading == Reading::ended) return;
    body_->reading = paused ? Reading::paused : Reading::wanted;
    body_->set_reading();
}

void Stream::shutdown_write() {
    Body& body = *body_.get();
    if (body.phase == Phase::over || body.when_written != WhenWritten::stay) return;
    body.when_written = WhenWritten::shut_down;
    if (body.phase == Phase::open && !body.is_writing) body.all_written();
}

void Stream::close_when_written() {
    Body& body = *body_.get();
    if (body.phase == Phase::over || body.when_written == WhenWritten::close) return;
    body.when_written = WhenWritten::close;
    body.reading = Reading::ended;
    body.set_reading();
    if (body.phase == Phase::open && !body.is_writing) later_.arm(TimePoint{});
}

int Stream::fd() const {
    uv_os_fd_t fd = -1;
    uv_fileno(&body_->raw.handle, &fd);
    return fd;
}

std::optional<uid_t> Stream::peer_user() const {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (getsockopt(fd(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return std::nullopt;
    return peer.uid;
}

}  // namespace muster::loop
