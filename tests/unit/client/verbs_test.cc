#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/unique_fd.h"
#include "client/control_verbs.h"
#include "client/http_client.h"

using namespace muster;
using namespace muster::client;
using namespace std::chrono_literals;

namespace {

// Accepts one connection after the other, reads one request from each and sends what it was told.
class FakeSupervisor {
public:
    using Answer = std::function<std::string(const std::string& request)>;

    explicit FakeSupervisor(Answer answer) : answer_(std::move(answer)) {
        std::string name = (std::filesystem::temp_directory_path() / "muster-test-XXXXXX").string();
        folder_ = mkdtemp(name.data());
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, path().data(), path().size());
        REQUIRE(bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        REQUIRE(listen(fd_.get(), 64) == 0);
        thread_ = std::thread([this] { serve(); });
    }
    FakeSupervisor(const FakeSupervisor&) = delete;
    FakeSupervisor& operator=(const FakeSupervisor&) = delete;
    ~FakeSupervisor() {
        shutdown(fd_.get(), SHUT_RDWR);
        thread_.join();
        std::filesystem::remove_all(folder_);
    }
    [[nodiscard]] std::string path() const { return folder_ + "/control.sock"; }

private:
    void serve() {
        for (;;) {
            const UniqueFd client{accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC)};
            if (!client.is_open()) return;
            std::string request;
            std::array<char, 4096> buffer{};
            while (request.find("\r\n\r\n") == std::string::npos) {
                const ssize_t got = recv(client.get(), buffer.data(), buffer.size(), 0);
                if (got <= 0) break;
                request.append(buffer.data(), static_cast<std::size_t>(got));
            }
            const std::string bytes = answer_(request);
            static_cast<void>(send(client.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL));
        }
    }

    Answer answer_;
    std::string folder_;
    UniqueFd fd_{socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    std::thread thread_;
};

std::string reply(int status, const std::string& body) {
    return "HTTP/1.1 " + std::to_string(status) +
           " X\r\ncontent-length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::string outcome(const std::string& id, bool ok, const std::string& message) {
    return nlohmann::json{{"processes",
                           {{{"process", id},
                             {"ok", ok},
                             {"state", ok ? "RUNNING" : "FATAL"},
                             {"message", message}}}}}
        .dump();
}

Printed does(const FakeSupervisor& supervisor, std::vector<std::string> words) {
    words.insert(words.begin(), {"-s", supervisor.path()});
    const auto parsed = parse_command_line(words);
    if (const auto* message = std::get_if<Message>(&parsed)) FAIL(message->text);
    return control_verb(std::get<CommandLine>(parsed));
}

const std::string unknown =
    R"({"error":{"code":"no_such_process","message":"there is no 'x'","hint":"try all"}})";

}  // namespace

TEST_CASE("a verb asks for each name, waits, and tells each outcome") {
    std::vector<std::string> asked;
    const FakeSupervisor supervisor{[&](const std::string& request) {
        asked.push_back(request.substr(0, request.find(" HTTP")));
        return reply(200, outcome("p" + std::to_string(asked.size()), true, "started"));
    }};
    const Printed printed = does(supervisor, {"start", "shap:*", "a b/c"});
    CHECK(printed.status == 0);
    CHECK(printed.out == "p1: started (RUNNING)\np2: started (RUNNING)\n");
    CHECK(printed.err.empty());
    CHECK(asked == std::vector<std::string>{"POST /v1/processes/shap:*/start?wait=true",
                                            "POST /v1/processes/a%20b%2Fc/start?wait=true"});
}

TEST_CASE("a signal goes as JSON, without waiting") {
    std::string asked;
    const FakeSupervisor supervisor{[&](const std::string& request) {
        asked = request;
        return reply(200, outcome("a", true, ""));
    }};
    CHECK(does(supervisor, {"signal", "1", "a"}).out == "a: RUNNING\n");
    CHECK(asked.starts_with("POST /v1/processes/a/signal HTTP/1.1\r\n"));
    CHECK(asked.ends_with("\r\n\r\n{\"signal\":\"HUP\"}"));
}

TEST_CASE("one that failed is told on stderr and exits with 1, an unknown one with 4") {
    const FakeSupervisor supervisor{[](const std::string& request) {
        if (request.find("/x/") != std::string::npos) return reply(404, unknown);
        const bool ok = request.find("/good/") != std::string::npos;
        return reply(200, outcome(ok ? "good" : "bad", ok, "done"));
    }};
    const Printed failed = does(supervisor, {"stop", "good", "bad"});
    CHECK(failed.status == 1);
    CHECK(failed.out == "good: done (RUNNING)\n");
    CHECK(failed.err == "bad: done (FATAL)\n");
    const Printed none = does(supervisor, {"stop", "bad", "x", "good"});
    CHECK(none.status == 4);
    CHECK(none.out == "good: done (RUNNING)\n");
    CHECK(none.err == "bad: done (FATAL)\nmuster stop: there is no 'x'\n  try all\n");
    const auto json =
        nlohmann::json::parse(does(supervisor, {"stop", "--json", "good", "bad"}).out);
    CHECK(json["processes"].size() == 2);
    CHECK(json["processes"][1]["ok"] == false);
}

TEST_CASE("scale says how many of each program") {
    std::vector<std::string> asked;
    const FakeSupervisor supervisor{[&](const std::string& request) {
        asked.push_back(request.substr(0, request.find(" HTTP")) +
                        request.substr(request.find("\r\n\r\n") + 4));
        return reply(200, outcome("p", true, "started"));
    }};
    CHECK(does(supervisor, {"scale", "shap=4", "a=b=2"}).status == 0);
    CHECK(does(supervisor, {"scale", "--no-wait", "shap=1"}).status == 0);
    CHECK(asked ==
          std::vector<std::string>{R"(POST /v1/programs/shap/scale?wait=true{"processes":4})",
                                   R"(POST /v1/programs/a%3Db/scale?wait=true{"processes":2})",
                                   R"(POST /v1/programs/shap/scale{"processes":1})"});
    for (const char* wrong : {"shap", "shap=", "=3", "shap=0", "shap=x", "shap=3x", "shap=-1"}) {
        const auto parsed = parse_command_line({"scale", wrong});
        REQUIRE(std::holds_alternative<Message>(parsed));
        CHECK(std::get<Message>(parsed).status == 2);
    }
}

TEST_CASE("reload tells what changed, and how it came out") {
    std::string asked;
    int status = 200;
    std::string body = R"({"dry_run":false,"added":["new"],"removed":["old"],"live":["group.x"],
        "needs_restart":["redis.url"],"changed":[{"program":"shap","live":["stop","essential"],
        "next_start":["stdout"],"restart":["command"],"processes":{"from":2,"to":4}}],
        "processes":[{"process":"new","ok":true,"state":"RUNNING","message":"started"},
        {"process":"shap_00","ok":false,"state":"BACKOFF","message":"did not become ready"}]})";
    const FakeSupervisor supervisor{[&](const std::string& request) {
        asked = request.substr(0, request.find(" HTTP"));
        return reply(status, body);
    }};
    const Printed printed = does(supervisor, {"reload"});
    CHECK(asked == "POST /v1/reload?wait=true");
    CHECK(printed.status == 1);
    CHECK(printed.out ==
          "added new\n"
          "changed shap: command (its processes are replaced one at a time); stop, essential (at "
          "once); stdout (from the next start on); 2 → 4 processes\n"
          "removed old\n"
          "changed group.x (at once)\n"
          "changed redis.url (needs a restart of muster; left as it was)\n"
          "new: started (RUNNING)\n");
    CHECK(printed.err == "shap_00: did not become ready (BACKOFF)\n");
    CHECK(does(supervisor, {"reload", "--no-wait"}).status == 1);
    CHECK(asked == "POST /v1/reload");
    body = R"({"added":[],"removed":[],"live":[],"needs_restart":[],"changed":[],"processes":[]})";
    CHECK(does(supervisor, {"reload", "--dry-run"}).out == "nothing has changed\n");
    CHECK(asked == "POST /v1/reload?dry_run=true");
    status = 422;
    body = R"({"error":{"code":"invalid_config","message":"m.toml:1:1: no","hint":"nothing"}})";
    const Printed refused = does(supervisor, {"reload"});
    CHECK(refused.status == 2);
    CHECK(refused.err == "muster reload: m.toml:1:1: no\n  nothing\n");
}

TEST_CASE("health is 0 or 1, whatever happens") {
    int status = 200;
    const FakeSupervisor supervisor{[&](const std::string& request) {
        CHECK(request.starts_with("GET /readyz "));
        return reply(status, R"({"error":{"code":"not_ready","message":"not ready: shap_00"}})");
    }};
    CHECK(does(supervisor, {"health"}).status == 0);
    status = 503;
    const Printed printed = does(supervisor, {"health"});
    CHECK(printed.status == 1);
    CHECK(printed.err == "muster health: not ready: shap_00\n");
    const FakeSupervisor busy{[&](const std::string& request) {
        CHECK(request.starts_with("GET /livez "));
        return reply(200, "{}");
    }};
    CHECK(does(busy, {"health", "--live"}).out == "alive\n");
    CommandLine nowhere;
    nowhere.verb = Verb::health;
    nowhere.socket_path = "/nonexistent/control.sock";
    CHECK(control_verb(nowhere).status == 1);
}

TEST_CASE("shutdown and status speak to the right routes") {
    std::vector<std::string> asked;
    const FakeSupervisor supervisor{[&](const std::string& request) {
        asked.push_back(request.substr(0, request.find(" HTTP")));
        return reply(200, R"({"processes":[]})");
    }};
    CHECK(does(supervisor, {"shutdown"}).status == 0);
    CHECK(does(supervisor, {"status"}).status == 0);
    CHECK(asked == std::vector<std::string>{"POST /v1/shutdown", "GET /v1/status"});
}

TEST_CASE("a supervisor that cannot be reached is 5, and the paths that were tried are named") {
    CommandLine line;
    line.verb = Verb::status;
    line.verb_name = "status";
    line.socket_path = "/nonexistent/control.sock";
    Printed printed = control_verb(line);
    CHECK(printed.status == 5);
    CHECK(
        printed.err.starts_with("muster status: the supervisor cannot be reached; tried "
                                "/nonexistent/control.sock: No such file or directory\n"));
    line.socket_path = "/" + std::string(200, 'x');
    CHECK(control_verb(line).status == 5);
    line.socket_path.clear();
    setenv("MUSTER_CONTROL", "/nonexistent/other.sock", 1);
    printed = control_verb(line);
    unsetenv("MUSTER_CONTROL");
    CHECK(printed.status == 5);
    CHECK(printed.err.find("tried /nonexistent/other.sock: ") != std::string::npos);
}

TEST_CASE("an answer that is none is an error, not a crash") {
    std::string bytes;
    const FakeSupervisor supervisor{[&](const std::string&) { return bytes; }};
    const std::map<std::string, std::string> answers{
        {"", "closed before it answered"},
        {"HTTP/1.1 200 OK\r\n", "closed before it answered"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "closed before it answered"},
        {"SSH-2.0-x\r\n\r\n", "what answers there is not muster"},
        {"HTTP/1.1 200 OK\r\n\r\n", "what answers there is not muster"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
         "what answers there is not muster"},
        {"HTTP/1.\r\n\r\n", "what answers there is not muster"},
    };
    for (const auto& each : answers) {
        bytes = each.first;
        CAPTURE(bytes);
        const Printed printed = does(supervisor, {"status"});
        CHECK(printed.status == 5);
        CHECK(printed.err.find(each.second) != std::string::npos);
    }
}

TEST_CASE("an answer that does not come is not waited for without end") {
    std::array<int, 2> pair{};
    const FakeSupervisor supervisor{[&](const std::string&) {
        // Held until the test has given up.
        std::array<char, 1> byte{};
        static_cast<void>(read(pair[0], byte.data(), 1));
        return std::string{};
    }};
    REQUIRE(pipe(pair.data()) == 0);
    auto client = HttpClient::connect(supervisor.path());
    REQUIRE(client.ok());
    CHECK(client->send("GET", "/").ok());
    const auto answer = client->receive(30ms);
    REQUIRE(!answer.ok());
    CHECK(answer.error().message().find("no answer in time") != std::string::npos);
    close(pair[1]);
}

TEST_CASE("workers are asked for page by page, until there is no next") {
    std::vector<std::string> asked;
    FakeSupervisor supervisor{[&](const std::string& request) {
        asked.push_back(request.substr(0, request.find(" HTTP")));
        return asked.size() == 1
                   ? reply(200, R"({"workers":[{"name":"a","state":"stale"}],"next":"0:12"})")
                   : reply(200, R"({"workers":[{"name":"b","state":"stale"}],"next":null})");
    }};
    CommandLine line;
    line.verb = Verb::workers;
    line.verb_name = "workers";
    line.socket_path = supervisor.path();
    line.only_stale = true;
    line.json = true;
    const Printed printed = control_verb(line);
    CHECK(printed.status == 0);
    CHECK(asked == std::vector<std::string>{"GET /v1/workers?limit=1000&stale=true",
                                            "GET /v1/workers?limit=1000&stale=true&after=0:12"});
    const auto json = nlohmann::json::parse(printed.out);
    REQUIRE(json["workers"].size() == 2);
    CHECK(json["workers"][1]["name"] == "b");
}

TEST_CASE("a supervisor without a Redis says so to workers and fleet") {
    FakeSupervisor supervisor{[](const std::string&) {
        return reply(404, R"({"error":{"code":"no_redis","message":"no Redis","hint":"set it"}})");
    }};
    CommandLine line;
    line.socket_path = supervisor.path();
    for (const Verb verb : {Verb::workers, Verb::fleet}) {
        line.verb = verb;
        const Printed printed = control_verb(line);
        CHECK(printed.status == 1);
        CHECK(printed.err.find("no Redis") != std::string::npos);
    }
}
