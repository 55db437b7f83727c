#include "redis/tls.h"

#include <doctest/doctest.h>

using namespace muster;
using redis::Tls;
using redis::TlsSettings;

namespace {

const TlsSettings anybody{
    .ca_file = {}, .verify = TlsSettings::Verify::none, .cert_file = {}, .key_file = {}};

}  // namespace

TEST_CASE("a handshake begins with bytes that carry the host's name, and never an address") {
    for (const bool is_name : {true, false}) {
        auto tls = Tls::create(anybody, is_name ? "redis.example" : "10.0.0.1");
        REQUIRE(tls);
        REQUIRE((*tls)->start());
        CHECK_FALSE((*tls)->is_established());
        const std::string hello = (*tls)->take_outgoing();
        REQUIRE(hello.size() > 100);
        CHECK(hello[0] == '\x16');  // a handshake record
        CHECK((hello.find("redis.example") != std::string::npos) == is_name);
        CHECK(hello.find("10.0.0.1") == std::string::npos);
        CHECK((*tls)->take_outgoing().empty());
    }
}

TEST_CASE("a server that answers in plain words does not speak TLS") {
    for (const char* words : {"-ERR unknown command\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n"}) {
        auto tls = Tls::create(anybody, "h");
        REQUIRE(tls);
        REQUIRE((*tls)->start());
        std::string plain;
        const Outcome fed = (*tls)->feed(words, plain);
        REQUIRE_FALSE(fed);
        CHECK(fed.error().hint().find("redis://") != std::string::npos);
        CHECK(plain.empty());
    }
}

TEST_CASE("an answer that comes byte by byte, or is cut off, is waited for") {
    auto tls = Tls::create(anybody, "h");
    REQUIRE(tls);
    REQUIRE((*tls)->start());
    std::string plain;
    for (const char byte : {'\x16', '\x03', '\x03', '\x40', '\x00', '\x02'})
        CHECK((*tls)->feed({&byte, 1}, plain));
    CHECK_FALSE((*tls)->is_established());
}

TEST_CASE("a file that is not what it should be is named") {
    const auto complaint = [](const TlsSettings& settings) {
        const auto tls = Tls::create(settings, "h");
        return tls ? std::string{} : tls.error().message();
    };
    using Verify = TlsSettings::Verify;
    CHECK(
        complaint({"/none/ca", Verify::full, "", ""}).find("redis.tls.ca_file /none/ca: No such") !=
        std::string::npos);
    CHECK(complaint({"/dev/null", Verify::ca, "", ""}).find("redis.tls.ca_file") !=
          std::string::npos);
    CHECK(complaint({"", Verify::none, "/none/cert", ""}).find("redis.tls.cert_file /none/cert") !=
          std::string::npos);
    CHECK(complaint(anybody).empty());
}
