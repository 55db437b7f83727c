#include "control/http_server.h"

#include <doctest/doctest.h>

#include <optional>

#include "rig.h"

using namespace muster;
using namespace muster::control;
using namespace std::chrono_literals;

namespace {

// Answers with what it heard.
void echo(const Request& request, const HttpServer::Respond& respond) {
    respond({.body = request.method + " " + request.path + " " + request.query + " " + request.body,
             .content_type = "text/plain"});
}

const std::string get = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";

// A server whose handler must not be asked.
struct Guarded {
    explicit Guarded(HttpLimits limits = {})
        : rig(
              [this](const Request& request, const HttpServer::Respond& respond) {
                  ++asked;
                  echo(request, respond);
              },
              limits) {}
    int asked = 0;
    Rig rig;
};

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a handler is told what the client accepts, and what it has heard last") {
    Request seen;
    Rig rig{[&](const Request& request, const HttpServer::Respond& respond) {
        seen = request;
        respond({.body = "{}"});
    }};
    rig.ask("GET / HTTP/1.1\r\naccept: text/event-stream\r\nLAST-EVENT-ID: 12\r\n\r\n");
    CHECK(seen.accept == "text/event-stream");
    CHECK(seen.last_event_id == "12");
    rig.ask("GET / HTTP/1.1\r\n\r\n");
    CHECK(seen.accept.empty());
    CHECK(seen.last_event_id.empty());
}

TEST_CASE("a request is answered and the connection is kept") {
    Rig rig{echo};
    const auto client = rig.ask("POST /a%20b?wait=true HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc");
    CHECK(client->status() == 200);
    CHECK(client->bodies() == std::vector<std::string>{"POST /a%20b wait=true abc"});
    CHECK(has(client->received(), "Connection: keep-alive"));
    client->send(get);
    CHECK(rig.until([&] { return client->answers() == 2; }));
    CHECK(!client->is_closed());
}

TEST_CASE("a client that asks for it, or speaks HTTP/1.0, is closed after the answer") {
    Rig rig{echo};
    for (const std::string_view request :
         {"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"}) {
        const auto client = rig.ask(request);
        CHECK(client->status() == 200);
        CHECK(rig.until([&] { return client->is_closed(); }));
        CHECK(has(client->received(), "Connection: close"));
    }
    CHECK(rig.until([&] { return rig.server.connections() == 0; }));
}

TEST_CASE("HEAD gets the head of what GET gets") {
    Rig rig{echo};
    const auto client = rig.connect();
    client->send("HEAD /x HTTP/1.1\r\n\r\n");
    CHECK(rig.until([&] { return has(client->received(), "\r\n\r\n"); }));
    CHECK(has(client->received(), "Content-Length: 8\r\n"));
    CHECK(!has(client->received(), "GET /x"));
}

TEST_CASE("pipelined requests are answered in order, one at a time") {
    std::vector<HttpServer::Respond> waiting;
    std::vector<std::string> asked;
    Rig rig{[&](const Request& request, const HttpServer::Respond& respond) {
        asked.push_back(request.path);
        waiting.push_back(respond);
    }};
    const auto client = rig.connect();
    client->send("GET /1 HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi\r\n" +
                 get);
    REQUIRE(rig.until([&] { return waiting.size() == 1; }));
    CHECK(asked.size() == 1);
    waiting[0]({.body = "one"});
    REQUIRE(rig.until([&] { return waiting.size() == 2; }));
    waiting[0]({.body = "again"});  // a second answer to the same request is nobody's
    waiting[1]({.body = "two"});
    REQUIRE(rig.until([&] { return waiting.size() == 3; }));
    waiting[2]({.body = "three"});
    CHECK(rig.until([&] { return client->answers() == 3; }));
    CHECK(client->bodies() == std::vector<std::string>{"one", "two", "three"});
    CHECK(asked == std::vector<std::string>{"/1", "/2", "/x"});
}

TEST_CASE("thousands of pipelined requests need no deep stack") {
    Rig rig{echo};
    const auto client = rig.connect();
    std::string many;
    for (int i = 0; i < 3000; ++i) many += "GET / HTTP/1.1\r\n\r\n";
    client->send(many);
    CHECK(rig.until([&] { return client->answers() == 3000; }));
}

TEST_CASE("a request may come byte by byte") {
    Rig rig{echo};
    const auto client = rig.connect();
    const std::string request = "POST /x HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde";
    for (const char byte : request) {
        client->send(std::string_view(&byte, 1));
        rig.until([turns = 0]() mutable { return turns++ > 0; });
    }
    CHECK(rig.until([&] { return client->answers() == 1; }));
    CHECK(client->bodies()[0] == "POST /x  abcde");
}

TEST_CASE("a client that waits for leave to send its body gets it") {
    Rig rig{echo};
    const auto client = rig.connect();
    client->send("POST /x HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    CHECK(rig.until([&] { return has(client->received(), "100 Continue\r\n\r\n"); }));
    client->send("ok");
    CHECK(rig.until([&] { return has(client->received(), "POST /x  ok"); }));
}

TEST_CASE("I11: what is malformed gets a 400 and changes nothing") {
    for (const std::string& bytes : std::vector<std::string>{
             "nonsense\r\n\r\n",
             "GET / HTTP/9.9\r\n\r\n",
             "GET / HTTP/1.1\r\nno colon\r\n\r\n",
             "GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
             "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
             "GET http://a/ HTTP/1.1\r\n\r\n",
             "\x16\x03\x01\x02 TLS hello\r\n\r\n",
             std::string("GET /\0 HTTP/1.1\r\n\r\n", 19),
         }) {
        CAPTURE(bytes);
        Guarded guarded;
        const auto client = guarded.rig.ask(bytes);
        CHECK(client->status() == 400);
        CHECK(has(client->received(), R"({"error":{"code":"malformed_request","message":")"));
        client->end();
        CHECK(guarded.rig.until([&] { return client->is_closed(); }));
        CHECK(guarded.asked == 0);
    }
}

TEST_CASE("I11: what is too large gets a 431 or 413") {
    Guarded guarded;
    Rig& rig = guarded.rig;
    const auto long_head = rig.ask("GET / HTTP/1.1\r\nX: " + std::string(17'000, 'x'));
    CHECK(long_head->status() == 431);
    const auto long_line = rig.ask("GET /" + std::string(17'000, 'x'));
    CHECK(long_line->status() == 431);
    const auto announced = rig.ask("POST / HTTP/1.1\r\nContent-Length: 65537\r\n\r\n");
    CHECK(announced->status() == 413);
    const auto huge = rig.ask("POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n");
    CHECK((huge->status() == 413 || huge->status() == 400));
    CHECK(guarded.asked == 0);
    const auto most =
        rig.ask("POST / HTTP/1.1\r\nContent-Length: 65536\r\n\r\n" + std::string(65536, 'x'));
    CHECK(most->status() == 200);
}

TEST_CASE("I11: a body in chunks gets a 411, whatever the chunks are") {
    for (const std::string_view chunks :
         {"3\r\nabc\r\n0\r\n\r\n", "0\n\n", "0\r\n\r\n", "zz\r\n", ""}) {
        CAPTURE(chunks);
        Guarded guarded;
        const auto client =
            guarded.rig.ask("POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\nE|pect: 1e\r\n\r\n" +
                            std::string(chunks));
        CHECK(client->status() == 411);
        CHECK(has(client->received(), "Content-Length"));
        CHECK(guarded.asked == 0);
    }
}

TEST_CASE("I11: a client that is too slow gets a 408") {
    Guarded guarded{{.request_time = 30ms}};
    const auto slow = guarded.rig.ask("GET / HTTP/1.1\r\n");
    CHECK(slow->status() == 408);
    const auto silent = guarded.rig.ask("");
    CHECK(silent->status() == 408);
    const auto half = guarded.rig.ask("POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc");
    CHECK(half->status() == 408);
    CHECK(guarded.asked == 0);
}

TEST_CASE("a kept connection that is not used is closed without a word") {
    Guarded guarded{{.idle_time = 20ms}};
    const auto client = guarded.rig.ask(get);
    CHECK(guarded.rig.until([&] { return client->is_closed(); }));
    CHECK(client->answers() == 1);
}

TEST_CASE("I11: a client that has closed its half is answered") {
    std::vector<HttpServer::Respond> waiting;
    Rig rig{
        [&](const Request&, const HttpServer::Respond& respond) { waiting.push_back(respond); }};
    const auto client = rig.connect();
    client->send(get + get);
    client->end();
    REQUIRE(rig.until([&] { return waiting.size() == 1; }));
    waiting[0]({.body = "1"});
    REQUIRE(rig.until([&] { return waiting.size() == 2; }));
    waiting[1]({.body = "2"});
    CHECK(rig.until([&] { return client->is_closed(); }));
    CHECK(client->bodies() == std::vector<std::string>{"1", "2"});
    CHECK(rig.until([&] { return rig.server.connections() == 0; }));
}

TEST_CASE("I11: a request that ends in its middle gets a 400, none at all gets nothing") {
    Guarded guarded;
    for (const std::string_view part :
         {"GET / HT", "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nab"}) {
        const auto client = guarded.rig.connect();
        client->send(part);
        client->end();
        CHECK(guarded.rig.until([&] { return client->is_closed(); }));
        CHECK(client->status() == 400);
    }
    const auto nothing = guarded.rig.connect();
    nothing->end();
    CHECK(guarded.rig.until([&] { return nothing->is_closed(); }));
    CHECK(nothing->received().empty());
    CHECK(guarded.asked == 0);
}

TEST_CASE("an answer for a connection that is gone is dropped") {
    std::optional<HttpServer::Respond> late;
    Rig rig{[&](const Request&, const HttpServer::Respond& respond) { late = respond; }};
    {
        const auto client = rig.connect();
        client->send(get);
        REQUIRE(rig.until([&] { return late.has_value(); }));
    }
    (*late)({.body = "anybody?"});
    CHECK(rig.until([&] { return rig.server.connections() == 0; }));
    (*late)({.body = "nobody"});
    CHECK(rig.ask(get)->answers() == 0);  // the server lives; its handler keeps this one waiting
}

TEST_CASE("connections over the limit are told so; idle ones give way") {
    std::vector<HttpServer::Respond> waiting;
    Rig rig{[&](const Request& request, const HttpServer::Respond& respond) {
                request.path == "/x" ? waiting.push_back(respond) : echo(request, respond);
            },
            {.connections = 2}};
    const auto first = rig.ask("GET /idle HTTP/1.1\r\n\r\n");
    const auto second = rig.connect();
    second->send(get);
    REQUIRE(rig.until([&] { return waiting.size() == 1; }));
    const auto third = rig.connect();
    third->send(get);
    REQUIRE(rig.until([&] { return waiting.size() == 2; }));
    CHECK(rig.until([&] { return first->is_closed(); }));
    const auto fourth = rig.ask(get);
    CHECK(fourth->status() == 503);
    CHECK(has(fourth->received(), "too_many_connections"));
    waiting[0]({.body = "served"});
    CHECK(rig.until([&] { return second->answers() == 1; }));
}

TEST_CASE(
    "a crowd that is refused is told so, each of it, and takes no place from who comes later") {
    std::vector<HttpServer::Respond> waiting;
    Rig rig{[&](const Request&, const HttpServer::Respond& respond) { waiting.push_back(respond); },
            {.connections = 2, .refusals = 5, .linger_time = std::chrono::hours{1}}};
    std::vector<std::unique_ptr<Client>> served;
    for (int i = 0; i < 2; ++i) {
        served.push_back(rig.connect());
        served.back()->send(get);
    }
    REQUIRE(rig.until([&] { return waiting.size() == 2; }));
    std::vector<std::unique_ptr<Client>> refused;
    for (int i = 0; i < 5; ++i) refused.push_back(rig.connect());  // more than are served
    for (const auto& one : refused) {
        CHECK(rig.until([&] { return one->answers() == 1; }));
        CHECK(one->status() == 503);
        CHECK(has(one->received(), "2 connections are open, more are not served"));
    }
    const auto beyond = rig.connect();
    CHECK(rig.until([&] { return beyond->is_closed(); }));
    CHECK(beyond->received().empty());
    // Those refused are still there, and one of the places is free again.
    waiting[0]({.body = "served"});
    CHECK(rig.until([&] { return served.front()->answers() == 1; }));
    CHECK(rig.server.connections() == 7);
    const auto late = rig.connect();
    late->send(get);
    CHECK(rig.until([&] { return waiting.size() == 3; }));
}

TEST_CASE("a client that does not read its answers holds up nobody, and gets them all later") {
    const std::string body(200'000, 'x');
    int asked = 0;
    Rig rig{[&](const Request&, const HttpServer::Respond& respond) {
        ++asked;
        respond({.body = body});
    }};
    const auto client = rig.connect();
    client->read_no_more();
    std::string many;
    for (int i = 0; i < 20; ++i) many += get;
    client->send(many);
    CHECK(rig.until([&] { return asked >= 1; }));
    CHECK(rig.ask(get)->status() == 200);
    CHECK(asked < 20);  // its next requests wait
    client->read_again();
    CHECK(rig.until([&] { return client->answers() == 20; }));
    CHECK(client->bodies().back() == body);
}

namespace {

// Says what it is told to whoever listens.
struct Teller {
    struct Source final : BodySource {
        Teller* teller = nullptr;
        BodySink* sink = nullptr;
        void start(BodySink& to) override {
            sink = &to;
            teller->listening.push_back(this);
        }
        ~Source() override { std::erase(teller->listening, this); }
    };
    std::vector<Source*> listening;

    Response answer() {
        auto source = std::make_shared<Source>();
        source->teller = this;
        return {.body = "so far\n", .content_type = "text/plain", .rest = source};
    }
    void says(std::string_view text) {
        for (Source* each : std::vector<Source*>(listening)) each->sink->write(text);
    }
};

}  // namespace

TEST_CASE("a body that goes on comes in chunks, and its end is told") {
    Teller teller;
    Rig rig{[&](const Request&, const HttpServer::Respond& respond) { respond(teller.answer()); }};
    auto client = rig.connect();
    client->send("GET / HTTP/1.1\r\n\r\n");
    REQUIRE(rig.until([&] { return client->received().find("so far") != std::string::npos; }));
    CHECK(client->received().find("Transfer-Encoding: chunked\r\n") != std::string::npos);
    CHECK(client->received().find("Content-Length") == std::string::npos);
    CHECK(rig.server.streams() == 1);
    teller.says("more\n");
    REQUIRE(rig.until([&] { return client->received().ends_with("5\r\nmore\n\r\n"); }));
    teller.listening.front()->sink->finish();
    teller.says("too late");
    REQUIRE(rig.until([&] { return client->is_closed(); }));
    CHECK(client->received().ends_with("5\r\nmore\n\r\n0\r\n\r\n"));
    REQUIRE(rig.until([&] { return rig.server.streams() == 0; }));
    CHECK(teller.listening.empty());
}

TEST_CASE("HTTP/1.0 gets the same without chunks, HEAD nothing but the head") {
    Teller teller;
    Rig rig{[&](const Request&, const HttpServer::Respond& respond) { respond(teller.answer()); }};
    auto old = rig.connect();
    old->send("GET / HTTP/1.0\r\n\r\n");
    REQUIRE(rig.until([&] { return old->received().ends_with("\r\n\r\nso far\n"); }));
    const auto head = rig.ask("HEAD / HTTP/1.1\r\nConnection: close\r\n\r\n");
    CHECK(head->received().ends_with("\r\n\r\n"));
    CHECK(teller.listening.size() == 1);
}

TEST_CASE("who does not read a stream is let go with a word, and costs the others nothing") {
    Teller teller;
    Rig rig{[&](const Request&, const HttpServer::Respond& respond) { respond(teller.answer()); },
            {.unread_bytes = 50'000}};
    auto slow = rig.connect();
    auto quick = rig.connect();
    for (const auto& client : {slow.get(), quick.get()}) client->send("GET / HTTP/1.1\r\n\r\n");
    REQUIRE(rig.until([&] { return teller.listening.size() == 2; }));
    slow->read_no_more();
    std::size_t said = 0;
    const std::string piece(10'000, 'x');
    for (; said < 300; ++said) {
        teller.says(piece);
        const std::size_t all = (said + 1) * piece.size();
        REQUIRE(rig.until([&] { return quick->received().size() > all; }));
    }
    slow->read_again();
    REQUIRE(rig.until([&] { return slow->is_closed(); }));
    CHECK(slow->received().find("reads too slowly and is let go") != std::string::npos);
    CHECK(slow->received().ends_with("0\r\n\r\n"));
    CHECK(slow->received().size() < 1'500'000);
    CHECK(rig.server.streams() == 1);
}

TEST_CASE("a client that goes takes its source with it; one stream too many is refused") {
    Teller teller;
    Rig rig{[&](const Request&, const HttpServer::Respond& respond) { respond(teller.answer()); },
            {.connections = 2, .streams = 5}};
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 5; ++i) {  // more than the connections: they are counted apart
        clients.push_back(rig.connect());
        clients.back()->send("GET / HTTP/1.1\r\n\r\n");
        REQUIRE(rig.until([&] { return teller.listening.size() == clients.size(); }));
    }
    const auto refused = rig.ask("GET / HTTP/1.1\r\n\r\n");
    CHECK(refused->status() == 503);
    CHECK(refused->bodies().front().find("too_many_streams") != std::string::npos);
    clients.clear();
    REQUIRE(rig.until([&] { return teller.listening.empty(); }));
    CHECK(rig.server.streams() == 0);
}
