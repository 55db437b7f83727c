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
};

struct Response {
    int status = 200;
    std::string body;
    std::string_view content_type = "application/json";
    std::string_view allow = {};  // of a 405
};

struct HttpLimits {
    std::size_t header_bytes = std::size_t{16} * 1024;
    std::size_t body_bytes = std::size_t{64} * 1024;
    std::size_t connections = 64;
    Duration request_time = std::chrono::seconds{10};  // from its first byte to its last
    Duration idle_time = std::chrono::seconds{60};     // between two requests
    Duration write_time = std::chrono::seconds{30};    // for a client to read its answer
    Duration linger_time = std::chrono::seconds{2};    // for a refused one to stop sending
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
    [[nodiscard]] std::size_t connections() const { return connections_.size(); }

private:
    class Connection;
    void drop(const Connection* connection);
    bool make_room();

    loop::Loop& loop_;
    const Handler handler_;
    const HttpLimits limits_;
    std::list<std::unique_ptr<Connection>> connections_;  // the one used longest ago first
};

// The body of every error: {"error":{"code","message","hint"}}.
Response error_response(int status,
                        std::string_view code,
                        std::string_view message,
                        std::string_view hint = {});

}  // namespace muster::control
