#include "control/access.h"

#include <doctest/doctest.h>

#include "control/base64.h"

using namespace muster;
using namespace muster::control;

namespace {

struct From {
    std::string host;
    std::string origin = {};
    std::string authorization = {};
};

int status(const Access& access, const From& from) {
    Request request{.method = "GET", .path = "/", .query = {}, .body = {}};
    request.host = from.host;
    request.origin = from.origin;
    request.authorization = from.authorization;
    const auto why = refused(access, request);
    return why ? why->status : 200;
}

const Access unguarded;
const Access guarded{.token = "se:cret"};

}  // namespace

TEST_CASE("without a token an address or localhost is served, another name is not: DNS rebinding") {
    for (const char* host : {"", "localhost", "LocalHost:9001", "127.0.0.1", "127.0.0.1:9001",
                             "10.0.0.3:1", "[::1]", "[::1]:9001"})
        CHECK_MESSAGE(status(unguarded, {host}) == 200, host);
    for (const char* host :
         {"evil.example", "evil.example:9001", "localhost.evil.example", "127.0.0.1.evil.example",
          "localhost.", "[", "[]", "[::1", "[evil]:1", "127.0.0.1@evil", "::1", "1"})
        CHECK_MESSAGE(status(unguarded, {host}) == 403, host);
}

TEST_CASE("a page of another site is not served, whatever its browser knows") {
    for (const Access& access : {unguarded, guarded}) {
        const std::string token = "Bearer se:cret";
        CHECK(status(access, From{"127.0.0.1:9001", "http://127.0.0.1:9001", token}) == 200);
        CHECK(status(access, From{"LOCALHOST:9001", "https://localhost:9001", token}) == 200);
        for (const char* origin :
             {"http://evil.example", "null", "http://127.0.0.1:8000", "http://127.0.0.1",
              "http://localhost:9001", "127.0.0.1:9001", "http://127.0.0.1:9001.evil.example"})
            CHECK_MESSAGE(status(access, From{"127.0.0.1:9001", origin, token}) == 403, origin);
        CHECK(status(access, From{"", "http://", token}) == 403);
    }
}

TEST_CASE("with a token: as a bearer's, or as anybody's password, and from any host") {
    // "x:se:cret", ":se:cret", "se:cret" in base64
    for (const char* right :
         {"Bearer se:cret", "bearer  se:cret ", "Basic eDpzZTpjcmV0", "BASIC OnNlOmNyZXQ="})
        CHECK_MESSAGE(status(guarded, {"any.example", "", right}) == 200, right);
    for (const char* wrong :
         {"", "Bearer", "Bearer ", "Bearer se:cre", "Bearer se:crets", "Bearer se:cret se:cret",
          "se:cret", "Basic", "Basic se:cret", "Basic !!!", "Basic c2U6Y3JldA==", "Basic eDp4",
          "Basic eA==", "Digest eDpzZTpjcmV0", "Bearer se:crese:cret"})
        CHECK_MESSAGE(status(guarded, {"127.0.0.1", "", wrong}) == 401, wrong);
}

TEST_CASE("on the socket root and our own user are served, nobody else") {
    CHECK(!refused(uid_t{1000}, 1000));
    CHECK(!refused(uid_t{0}, 1000));
    for (const std::optional<uid_t> peer : {std::optional<uid_t>{1001}, std::optional<uid_t>{}}) {
        const auto why = refused(peer, 1000);
        REQUIRE(why);
        CHECK(why->status == 403);
    }
    CHECK(refused(uid_t{1001}, 0)->body.find("user 1001") != std::string::npos);
}

TEST_CASE("I12: who is not let in is told how, and nothing of the token") {
    Request request{.method = "GET", .path = "/", .query = {}, .body = {}};
    request.authorization = "Bearer wrong";
    const auto why = refused(guarded, request);
    REQUIRE(why);
    CHECK(why->headers == "WWW-Authenticate: Basic realm=\"default\"\r\n");
    CHECK(why->body.find("cret") == std::string::npos);
    CHECK(why->body.find("wrong") == std::string::npos);
}

TEST_CASE("base64 with white space in it, and what is none") {
    CHECK(base64_decoded("aGVs\nbG8=") == "hello");
    CHECK(base64_decoded("").value().empty());
    CHECK_FALSE(base64_decoded("a*b"));
}
