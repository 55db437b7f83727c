#pragma once
// HTTP/1.1 over connected streams. Every request gets an answer (I11): what is malformed, too large
// or too slow gets a 4xx that says why, and the handler never hears of it. Pipelined requests are
// answered one at a time, in order.

#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>

#include "base/time.h"
#include "loop/loop.h"
#include "loop/stream.h"

namespace muster::control {

struct Request {
    std::string method;  // "GET"
    std::string path;    // still percent-encoded, begins with '/'
    std::string query;   // what follows the '?'
    std::string body;
    std::string accept = {};         // the header, "" where there is none
    std::string last_event_id = {};  // of a client of server-sent events that comes back
    std::string host = {};           // these three for control/access.h
    std::string origin = {};
    std::string authorization = {};
};

// Where a body that goes on is written to, as long as its connection lives.
class BodySink {
public:
    BodySink() = default;
    BodySink(const BodySink&) = delete;
    BodySink& operator=(const BodySink&) = delete;
    // The client of a full sink is let go: what it has not read stays queued, at most
    // HttpLimits::unread_bytes, then comes the source's parting word, and the end. After that, and
    // after finish(), it does nothing.
    virtual void write(std::string_view bytes) = 0;
    virtual void finish() = 0;

protected:
    ~BodySink() = default;
};

// The rest of a body whose end is not known yet: lines or events as they come. It belongs to the
// connection and is destroyed with it, so its destructor is where it stops listening.
class BodySource {
public:
    BodySource() = default;
    BodySource(const BodySource&) = delete;
    BodySource& operator=(const BodySource&) = delete;
    virtual ~BodySource() = default;
    virtual void start(
        BodySink& sink) = 0;  // once, in the turn of the answer; outlived by the sink
    // What a client is told that is let go because it reads too slowly.
    [[nodiscard]] virtual std::string_view parting_word() const {
        return "\n[muster: this client reads too slowly and is let go; what comes now is not "
               "sent]\n";
    }
};

struct Response {
    int status = 200;
    std::string body;
    std::string_view content_type = "application/json";
    std::string_view allow = {};                 // of a 405
    std::shared_ptr<BodySource> rest = nullptr;  // what follows `body`; null: nothing
    std::string_view headers = {};               // more of them, each with its end of line
};

struct HttpLimits {
    std::size_t header_bytes = std::size_t{16} * 1024;
    std::size_t body_bytes = std::size_t{64} * 1024;
    std::size_t connections = 64;  // without those whose body goes on
    std::size_t streams = 256;     // these
    std::size_t refusals = 256;    // at once; whoever comes then is closed without a word
    std::size_t unread_bytes = std::size_t{256} * 1024;  // of a stream
    Duration request_time = std::chrono::seconds{10};    // from its first byte to its last
    Duration idle_time = std::chrono::seconds{60};       // between two requests
    Duration write_time = std::chrono::seconds{30};      // for a client to read its answer
    Duration linger_time = std::chrono::seconds{2};      // for a refused one to stop sending
};

class HttpServer {
public:
    // To be called once, now or later. It does nothing once the connection is gone.
    using Respond = std::function<void(Response)>;
    using Handler = std::function<void(const Request&, Respond)>;

    HttpServer(loop::Loop& loop, Handler handler, HttpLimits limits = {});
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;
    ~HttpServer();  // closes all connections at once

    void serve(std::unique_ptr<loop::Stream> stream);
    // Says why, whatever is asked, and lets go.
    void turn_away(std::unique_ptr<loop::Stream> stream, const Response& why);
    [[nodiscard]] std::size_t connections() const { return connections_.size(); }
    [[nodiscard]] std::size_t streams() const { return streams_; }

private:
    class Connection;
    void drop(const Connection* connection);
    bool make_room();

    loop::Loop& loop_;
    const Handler handler_;
    const HttpLimits limits_;
    std::size_t streams_ = 0;
    std::size_t refused_ = 0;  // and not gone yet: they take nobody's place
    std::list<std::unique_ptr<Connection>> connections_;  // the one used longest ago first
};

// The body of every error: {"error":{"code","message","hint"}}.
Response error_response(int status,
                        std::string_view code,
                        std::string_view message,
                        std::string_view hint = {});

}  // namespace muster::control
