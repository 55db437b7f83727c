#pragma once
// Connected byte streams (unix, TCP) and the listener that accepts them.

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "loop/handle.h"
#include "loop/loop.h"
#include "loop/timer.h"

namespace muster::loop {

// No event comes from inside a call of one's own: write() never calls back. The Stream may be
// destroyed in any of its events; that closes the connection at once, and what is queued is lost.
class Stream {
    enum class Kind : std::uint8_t { unix_socket, tcp };

public:
    struct Events {
        // The bytes are only lent for the call.
        std::function<void(std::string_view bytes)> read = {};
        // Once, and the last event: an error; or none, after the peer's end of stream or after
        // close_when_written(). Then write() does nothing. The owner lets go of the Stream.
        std::function<void(std::optional<Error> why)> closed = {};
        // The write queue was filled and is empty again.
        std::function<void()> drained = {};
        // The peer has sent its last byte but may still read. Whoever gives this keeps the stream
        // for writing and calls close_when_written() in the end; where it is not given, the peer's
        // end of stream is `closed`.
        std::function<void()> ended = {};
    };
    using Connected = std::function<void(Outcome)>;

    // `connected` comes once, before all Events; after a failure nothing else comes. What is
    // written before that is queued.
    static std::unique_ptr<Stream> connect_unix(Loop& loop,
                                                const std::string& path,
                                                Connected connected,
                                                Events events);
    static std::unique_ptr<Stream> connect_tcp(Loop& loop,
                                               const std::string& numeric_ip,
                                               std::uint16_t port,
                                               Connected connected,
                                               Events events);
    Stream(Loop& loop, Kind kind);  // for this file: nobody else can name a Kind
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    ~Stream();

    void start(Events events);  // once, for an accepted stream: nothing is read before

    void write(std::string bytes);  // unbounded: the caller looks at queued()
    [[nodiscard]] std::size_t queued() const;
    void pause_reading(bool paused);
    void shutdown_write();      // the peer sees our end of stream once the queue is written
    void close_when_written();  // no more reads; `closed` comes when the queue is written
    [[nodiscard]] int fd() const;
    // Of the process that connected to our unix socket (SO_PEERCRED, unix(7)).
    [[nodiscard]] std::optional<uid_t> peer_user() const;

private:
    friend class Listener;
    friend class TcpListener;
    struct Body;
    bool accept_from(uv_stream_t* server);
    void fail_soon(Error error);
    void tell_later();

    HandleMemory<Body> body_;
    Timer later_;  // for what is known inside a call, but must be told outside
};

class Listener : private Handle<uv_pipe_t, std::unique_ptr<Stream>> {
    struct Bound {
        std::string path;
        ino_t inode;  // of the socket file: only our own is removed
    };

public:
    // The stream is to be start()ed.
    using Accepted = std::function<void(std::unique_ptr<Stream>)>;

    // The socket file never has more rights than `mode`. A file that a dead process left behind
    // is replaced, one that somebody listens on is an error. The destructor removes it.
    static Result<std::unique_ptr<Listener>> listen_unix(Loop& loop,
                                                         const std::string& path,
                                                         mode_t mode,
                                                         Accepted accepted);
    Listener(Loop& loop, Bound bound, Accepted accepted);  // for listen_unix
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;
    ~Listener();

private:
    static void on_connection(uv_stream_t* server, int status) noexcept;

    Bound bound_;
};

class TcpListener : private Handle<uv_tcp_t, std::unique_ptr<Stream>> {
public:
    using Accepted = std::function<void(std::unique_ptr<Stream>)>;  // the stream is to be start()ed

    // An IPv6 address of "::" hears IPv4 as well. Port 0: the kernel chooses one.
    static Result<std::unique_ptr<TcpListener>> listen(Loop& loop,
                                                       const std::string& numeric_ip,
                                                       std::uint16_t port,
                                                       Accepted accepted);
    TcpListener(Loop& loop, Accepted accepted);  // for listen
    TcpListener(const TcpListener&) = delete;
    TcpListener& operator=(const TcpListener&) = delete;
    ~TcpListener() = default;

    [[nodiscard]] std::uint16_t port() const;

private:
    static void on_connection(uv_stream_t* server, int status) noexcept;
};

}  // namespace muster::loop
