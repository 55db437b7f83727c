#include "control/http_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/string_body.hpp>
#include <optional>

#include "control/json_writer.h"
#include "loop/lifeline.h"
#include "loop/timer.h"

namespace muster::control {

namespace {

namespace http = boost::beast::http;
using ErrorCode = boost::beast::error_code;
using Parser = http::request_parser<http::string_body>;

Response refusal(const ErrorCode& code, const HttpLimits& limits) {
    if (code == http::error::header_limit)
        return error_response(
            431, "headers_too_large",
            fmt::format("the request's head is longer than {} bytes", limits.header_bytes));
    if (code == http::error::body_limit)
        return error_response(
            413, "body_too_large",
            fmt::format("the request's body is longer than {} bytes", limits.body_bytes));
    return error_response(400, "malformed_request",
                          fmt::format("this is not an HTTP/1.1 request: {}", code.message()),
                          "see the control API in the documentation, or use the muster command");
}

std::string text_of(const boost::beast::string_view& view) {
    return {view.data(), view.size()};
}

enum class Framing : std::uint8_t { length, chunks, until_closed };

std::string head_of(const Response& response, bool keeps_alive, Framing framing = Framing::length) {
    const auto reason =
        http::obsolete_reason(http::int_to_status(static_cast<unsigned>(response.status)));
    std::string head =
        fmt::format("HTTP/1.1 {} {}\r\nContent-Type: {}\r\n", response.status,
                    std::string_view(reason.data(), reason.size()), response.content_type);
    if (framing == Framing::length)
        head += fmt::format("Content-Length: {}\r\n", response.body.size());
    if (framing == Framing::chunks) head += "Transfer-Encoding: chunked\r\n";
    if (!response.allow.empty()) head += fmt::format("Allow: {}\r\n", response.allow);
    head += response.headers;
    head += keeps_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
    return head;
}

}  // namespace

Response error_response(int status,
                        std::string_view code,
                        std::string_view message,
                        std::string_view hint) {
    JsonWriter json;
    json.begin_object();
    json.key("error");
    json.begin_object();
    json.key("code");
    json.string(code);
    json.key("message");
    json.string(message);
    json.key("hint");
    json.string(hint);
    json.end_object();
    json.end_object();
    return {.status = status, .body = json.take()};
}

class HttpServer::Connection final : private BodySink {
public:
    Connection(HttpServer& server, std::unique_ptr<loop::Stream> stream)
        : server_(server),
          stream_(std::move(stream)),
          idle_since_(server.loop_.now()),
          timer_(server.loop_, [this] { out_of_time(); }) {
        arm(server_.limits_.request_time);
        stream_->start({.read = [this](std::string_view bytes) { received(bytes); },
                        .closed = [this](const std::optional<Error>&) { server_.drop(this); },
                        .drained = [this] { written(); },
                        .ended = [this] { ended(); }});
    }

    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection() {
        if (source_) --server_.streams_;
        if (is_refused_) --server_.refused_;
    }

    // Answers with an error and lets go of the connection.
    void refuse(const Response& response) {
        keeps_alive_ = false;
        is_refused_ = true;
        ++server_.refused_;
        stream_->write(head_of(response, false) + response.body);
        if (has_ended_) return close();
        // A close with unread bytes could take the answer away from a client that is still sending.
        phase_ = Phase::lingering;
        in_.clear();
        stream_->pause_reading(false);
        stream_->shutdown_write();
        arm(server_.limits_.linger_time);
    }

    [[nodiscard]] bool is_idle() const {
        return phase_ == Phase::reading && has_served_ && !parser_ && in_.empty();
    }
    [[nodiscard]] TimePoint idle_since() const { return idle_since_; }

private:
    enum class Phase : std::uint8_t {
        reading,    // a request, or nothing yet
        answering,  // the handler has it
        writing,    // the client is slow to read; the next request waits
        streaming,  // the body goes on; of the client nothing more is wanted
        lingering,  // refused: what still comes is thrown away
        closing,    // the last answer is being written
    };

    void received(std::string_view bytes) {
        switch (phase_) {
            case Phase::reading:
                in_ += bytes;
                return advance();
            case Phase::answering:
            case Phase::writing:
                in_ += bytes;
                // Enough of the next requests; the kernel holds the rest back.
                if (in_.size() > server_.limits_.header_bytes) stream_->pause_reading(true);
                return;
            case Phase::streaming:
            case Phase::lingering:
            case Phase::closing:
                return;
        }
    }

    void ended() {
        has_ended_ = true;
        if (phase_ == Phase::lingering) return close();
        if (phase_ == Phase::streaming) return server_.drop(this);  // nobody is there any more
        if (phase_ == Phase::reading) advance();
    }

    void written() {
        if (phase_ != Phase::writing) return;
        ready_for_next();
        advance();
    }

    void out_of_time() {
        const bool is_late = phase_ == Phase::reading && !is_idle();
        if (!is_late) return server_.drop(this);
        refuse(error_response(
            408, "request_timeout",
            fmt::format("the request was not complete after {:.0f} s",
                        std::chrono::duration<double>(server_.limits_.request_time).count())));
    }

    // Requests one after the other, as long as there are bytes and each is answered at once. A
    // loop: thousands of pipelined requests must not be thousands of nested calls.
    void advance() {
        if (is_advancing_) return;
        is_advancing_ = true;
        while (phase_ == Phase::reading && parse()) dispatch();
        is_advancing_ = false;
    }

    // True when a request is complete. Otherwise more is needed, or it was refused.
    bool parse() {
        if (!parser_) {
            in_.erase(0, std::min(in_.find_first_not_of("\r\n"), in_.size()));
            if (in_.empty()) {
                if (has_ended_) close();
                return false;
            }
            parser_.emplace();
            parser_->header_limit(static_cast<std::uint32_t>(server_.limits_.header_bytes));
            parser_->body_limit(server_.limits_.body_bytes);
            if (has_served_) arm(server_.limits_.request_time);
        }
        while (!in_.empty() && !parser_->is_done()) {
            ErrorCode code;
            const std::size_t used =
                parser_->put(boost::asio::const_buffer(in_.data(), in_.size()), code);
            in_.erase(0, used);
            if (code && code != http::error::need_more) {
                refuse(refusal(code, server_.limits_));
                return false;
            }
            if (parser_->is_header_done() && parser_->chunked()) {
                // Beast's reader of chunks is not for strangers: it stops the program
                // (BOOST_ASSERT, seen with 1.74) or reads on over "0\n\n". RFC 9110, 15.5.12 allows
                // the refusal.
                refuse(error_response(411, "length_required",
                                      "a request's body is not taken in chunks",
                                      "send it whole, with a Content-Length"));
                return false;
            }
            if (used == 0) break;
        }
        if (parser_->is_done()) return true;
        wait_for_more();
        return false;
    }

    void wait_for_more() {
        if (has_ended_) {
            refuse(error_response(400, "malformed_request", "the request ended in its middle"));
        } else if (parser_->is_header_done() && !has_continued_ &&
                   parser_->get()[http::field::expect] == "100-continue") {
            has_continued_ = true;
            stream_->write("HTTP/1.1 100 Continue\r\n\r\n");
        }
    }

    void dispatch() {
        timer_.disarm();
        phase_ = Phase::answering;
        const std::uint64_t serial = ++serial_;
        keeps_alive_ = parser_->keep_alive();
        knows_chunks_ = parser_->get().version() >= 11;
        auto message = parser_->release();
        parser_.reset();
        has_continued_ = false;
        const std::string_view target(message.target().data(), message.target().size());
        const std::string_view method(message.method_string().data(),
                                      message.method_string().size());
        is_head_ = method == "HEAD";
        if (target.empty() || target.front() != '/')
            return refuse(error_response(400, "malformed_request",
                                         "the target of a request begins with '/'"));
        const auto question = target.find('?');
        Request request{.method = std::string(is_head_ ? "GET" : method),
                        .path = std::string(target.substr(0, question)),
                        .query = {},
                        .body = std::move(message.body()),
                        .accept = text_of(message[http::field::accept]),
                        .last_event_id = text_of(message["Last-Event-ID"]),
                        .host = text_of(message[http::field::host]),
                        .origin = text_of(message[http::field::origin]),
                        .authorization = text_of(message[http::field::authorization])};
        if (question != std::string_view::npos) request.query = target.substr(question + 1);
        server_.handler_(request, lifeline_.guard([this, serial](const Response& response) {
            if (serial == serial_ && phase_ == Phase::answering) answer(response);
        }));
    }

    void answer(const Response& response) {
        if (response.rest && !is_head_) return stream(response);
        // Half of the client is gone and nothing more is asked: this is the last answer.
        const bool is_last = !keeps_alive_ || response.status == 401 || (has_ended_ && in_.empty());
        std::string bytes = head_of(response, !is_last);
        if (!is_head_) bytes += response.body;
        stream_->write(std::move(bytes));
        has_served_ = true;
        if (is_last) return close();
        if (stream_->queued() > 0) {
            phase_ = Phase::writing;
            return arm(server_.limits_.write_time);
        }
        ready_for_next();
        advance();
    }

    void stream(const Response& response) {
        if (server_.streams_ >= server_.limits_.streams)
            return refuse(error_response(
                503, "too_many_streams",
                fmt::format("{} streams are followed already", server_.limits_.streams),
                "end some, or try again"));
        ++server_.streams_;
        source_ = response.rest;
        phase_ = Phase::streaming;
        stream_->write(
            head_of(response, false, knows_chunks_ ? Framing::chunks : Framing::until_closed));
        write(response.body);
        source_->start(*this);
    }

    void write(std::string_view bytes) override {
        if (phase_ != Phase::streaming || bytes.empty()) return;
        if (stream_->queued() + bytes.size() > server_.limits_.unread_bytes) {
            write_piece(source_->parting_word());
            return finish();
        }
        write_piece(bytes);
    }

    void write_piece(std::string_view bytes) {
        if (knows_chunks_)
            stream_->write(fmt::format("{:x}\r\n{}\r\n", bytes.size(), bytes));
        else
            stream_->write(std::string(bytes));
    }

    void finish() override {
        if (phase_ != Phase::streaming) return;
        if (knows_chunks_) stream_->write("0\r\n\r\n");
        close();
    }

    void ready_for_next() {
        phase_ = Phase::reading;
        idle_since_ = server_.loop_.now();
        arm(server_.limits_.idle_time);
        stream_->pause_reading(false);
    }

    void close() {
        phase_ = Phase::closing;
        stream_->close_when_written();
        arm(server_.limits_.write_time);
    }

    void arm(Duration time) { timer_.arm(server_.loop_.now() + time); }

    HttpServer& server_;
    std::unique_ptr<loop::Stream> stream_;
    Phase phase_ = Phase::reading;
    std::string in_;                // received and not yet parsed
    std::optional<Parser> parser_;  // of the request that is being received
    std::uint64_t serial_ = 0;      // of the request that is being answered
    bool keeps_alive_ = true;
    bool knows_chunks_ = true;  // HTTP/1.1
    bool is_head_ = false;
    bool is_advancing_ = false;
    bool has_continued_ = false;
    bool has_served_ = false;
    bool has_ended_ = false;  // the client sends no more
    bool is_refused_ = false;
    TimePoint idle_since_;
    loop::Timer timer_;
    loop::Lifeline lifeline_;
    std::shared_ptr<BodySource> source_;  // goes first: it listens to others for us
};

HttpServer::HttpServer(loop::Loop& loop, Handler handler, HttpLimits limits)
    : loop_(loop), handler_(std::move(handler)), limits_(limits) {}

HttpServer::~HttpServer() = default;

void HttpServer::serve(std::unique_ptr<loop::Stream> stream) {
    const std::size_t plain = connections_.size() - streams_ - refused_;
    if (plain >= limits_.connections && !make_room())
        return turn_away(std::move(stream),
                         error_response(503, "too_many_connections",
                                        fmt::format("{} connections are open, more are not served",
                                                    limits_.connections),
                                        "close some, or try again"));
    connections_.push_back(std::make_unique<Connection>(*this, std::move(stream)));
}

void HttpServer::turn_away(std::unique_ptr<loop::Stream> stream, const Response& why) {
    if (refused_ >= limits_.refusals) return;
    connections_.push_back(std::make_unique<Connection>(*this, std::move(stream)));
    connections_.back()->refuse(why);
}

void HttpServer::drop(const Connection* connection) {
    connections_.remove_if([&](const auto& each) { return each.get() == connection; });
}

// The connection that has been idle for the longest time gives way.
bool HttpServer::make_room() {
    const Connection* oldest = nullptr;
    for (const auto& each : connections_) {
        if (each->is_idle() && (oldest == nullptr || each->idle_since() < oldest->idle_since()))
            oldest = each.get();
    }
    if (oldest == nullptr) return false;
    drop(oldest);
    return true;
}

}  // namespace muster::control
