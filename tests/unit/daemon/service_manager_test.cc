#include "daemon/service_manager.h"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <map>
#include <memory>
#include <vector>

using namespace muster;
using namespace muster::daemon;
using namespace std::chrono_literals;

namespace {

struct Silence : Log {
    std::vector<std::string> verbs;
    void write(LogLevel, std::string_view verb, std::initializer_list<LogField>) override {
        verbs.emplace_back(verb);
    }
    [[nodiscard]] bool shows(LogLevel) const override { return true; }
};

struct Telling {
    std::string name = "@muster-unit-" + std::to_string(::getpid());
    UniqueFd heard{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    std::map<std::string, std::string> variables{{"NOTIFY_SOCKET", name}};
    std::string status = "one";
    Silence log;
    loop::Loop loop;

    void listen() const {
        const auto at = notify_address(name);
        REQUIRE(at.ok());
        REQUIRE(::bind(heard.get(), reinterpret_cast<const sockaddr*>(&at->address), at->size) ==
                0);
    }
    std::unique_ptr<ServiceManager> manager() {
        return std::make_unique<ServiceManager>(
            loop, log,
            [this](const char* variable) -> std::optional<std::string> {
                const auto found = variables.find(variable);
                return found == variables.end() ? std::nullopt : std::optional(found->second);
            },
            [this] { return status; });
    }
    [[nodiscard]] std::string next() const {
        std::array<char, 256> text{};
        const ssize_t size = ::recv(heard.get(), text.data(), text.size(), 0);
        return size < 0 ? "" : std::string(text.data(), static_cast<std::size_t>(size));
    }
    void pass(Duration time) {
        loop::Timer end{loop, [this] { loop.stop(); }};
        end.arm(loop.now() + time);
        loop.run();
    }
};

}  // namespace

TEST_CASE("where a service manager listens is a path or an abstract name") {
    const auto path = notify_address("/run/notify");
    REQUIRE(path.ok());
    CHECK(std::string(path->address.sun_path) == "/run/notify");
    CHECK(path->size == offsetof(sockaddr_un, sun_path) + 12);
    const auto name = notify_address("@abc");
    REQUIRE(name.ok());
    CHECK(std::string(name->address.sun_path, 4) == std::string("\0abc", 4));
    CHECK(name->size == offsetof(sockaddr_un, sun_path) + 4);
    for (const std::string& bad : {std::string{}, std::string{"/"}, std::string{"@"},
                                   std::string{"vsock:2:1"}, "/" + std::string(107, 'x')}) {
        const auto refused = notify_address(bad);
        REQUIRE(!refused.ok());
        CHECK(refused.error().message().find("NOTIFY_SOCKET") != std::string::npos);
    }
}

TEST_CASE("a watchdog is told twice in each interval, when it is meant for us") {
    CHECK(beat_interval("3000000", "", 7) == Duration{1500ms});
    CHECK(beat_interval("3000000", "7", 7) == Duration{1500ms});
    CHECK(!beat_interval("3000000", "8", 7));
    for (const char* none : {"", "0", "-1", "1s", "99999999999999999999"})
        CHECK(!beat_interval(none, "", 7));
}

TEST_CASE_FIXTURE(Telling, "a state is told at once, a status once a second at most") {
    listen();
    const auto told = manager();
    told->ready();
    CHECK(next() == "READY=1\n");
    pass(5ms);
    CHECK(next() == "STATUS=one\n");
    status = "two";
    told->changed();
    told->changed();
    pass(20ms);
    CHECK(next().empty());
    told->reloading();
    CHECK(next().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    told->stopping();
    CHECK(next() == "STOPPING=1\n");
    CHECK(next().empty());
    CHECK(log.verbs.empty());
}

TEST_CASE_FIXTURE(Telling, "a state that cannot be told yet is told later, and only the newest") {
    const auto told = manager();
    told->ready();
    told->stopping();
    pass(20ms);
    listen();
    pass(200ms);
    CHECK(next() == "STOPPING=1\n");
    CHECK(next().empty());
}

TEST_CASE_FIXTURE(Telling, "a watchdog hears of each half interval once we are ready") {
    listen();
    variables["WATCHDOG_USEC"] = "20000";
    const auto told = manager();
    pass(30ms);
    CHECK(next().empty());
    told->ready();
    pass(65ms);
    int beats = 0;
    for (std::string text = next(); !text.empty(); text = next()) beats += text == "WATCHDOG=1\n";
    CHECK(beats >= 3);
}

TEST_CASE_FIXTURE(Telling, "nobody asked, or somebody whom we cannot reach: nothing is sent") {
    variables.clear();
    manager()->ready();
    CHECK(log.verbs.empty());
    variables["NOTIFY_SOCKET"] = "vsock:2:1";
    manager()->ready();
    CHECK(log.verbs == std::vector<std::string>{"service-manager-not-told"});
    CHECK(is_for_us("NOTIFY_SOCKET"));
    CHECK(!is_for_us("NOTIFY_SOCKETS"));
}
