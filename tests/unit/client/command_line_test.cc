#include "client/command_line.h"

#include <doctest/doctest.h>

using namespace muster::client;

namespace {

using Words = std::vector<std::string>;

CommandLine understood(const Words& words) {
    const auto parsed = parse_command_line(words);
    if (const auto* message = std::get_if<Message>(&parsed)) FAIL(message->text);
    return std::get<CommandLine>(parsed);
}

// "" where it was understood or is a help.
std::string complaint(const Words& words) {
    const auto parsed = parse_command_line(words);
    const auto* message = std::get_if<Message>(&parsed);
    return message != nullptr && message->status == 2 ? message->text : std::string{};
}

std::string help(const Words& words) {
    const auto parsed = parse_command_line(words);
    const auto* message = std::get_if<Message>(&parsed);
    return message != nullptr && message->status == 0 ? message->text : std::string{};
}

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("the socket's path stands before or after the verb") {
    CHECK(understood({"-s", "/a", "status"}).socket_path == "/a");
    CHECK(understood({"status", "-s", "/a"}).socket_path == "/a");
    CHECK(understood({"--socket=/a", "status", "x"}).socket_path == "/a");
    CHECK(understood({"-s/a", "stop", "x"}).socket_path == "/a");
    CHECK(understood({"-s", "/a", "status", "-s", "/b"}).socket_path == "/b");
    CHECK(understood({"status"}).socket_path.empty());
}

TEST_CASE("verbs take names, and wait unless told otherwise") {
    const CommandLine stop = understood({"stop", "shap:*", "--no-wait", "mail"});
    CHECK(stop.verb == Verb::stop);
    CHECK(stop.selectors == Words{"shap:*", "mail"});
    CHECK(!stop.waits);
    CHECK(understood({"restart", "all"}).waits);
    CHECK(understood({"start", "--json", "all"}).json);
    CHECK(understood({"status"}).selectors.empty());
    CHECK(understood({"status", "--json", "a", "b"}).selectors == Words{"a", "b"});
    CHECK(understood({"status", "--", "--json"}).selectors == Words{"--json"});
    CHECK(has(complaint({"stop"}), "SEL is required"));
}

TEST_CASE("events are the last hundred, and more with -f") {
    CHECK(understood({"events"}).lines == 100);
    const CommandLine line = understood({"events", "-f", "-n", "5", "--json"});
    CHECK(line.verb == Verb::events);
    CHECK(line.follows);
    CHECK(line.lines == 5);
    CHECK(line.json);
    CHECK(!complaint({"events", "shap"}).empty());
    CHECK(understood({"why", "shap", "--json"}).selectors == Words{"shap"});
    CHECK(has(complaint({"why"}), "SEL is required"));
}

TEST_CASE("a signal is known before anybody is asked") {
    const CommandLine line = understood({"signal", "SIGHUP", "a", "b"});
    CHECK(line.signal == 1);
    CHECK(line.selectors == Words{"a", "b"});
    CHECK(has(complaint({"signal", "NOPE", "a"}), "there is no signal 'NOPE'"));
    CHECK(has(complaint({"signal", "HUP"}), "SEL is required"));
}

TEST_CASE("run has a file or a command") {
    CHECK(understood({"run", "-c", "x.toml"}).config_path == "x.toml");
    const CommandLine line =
        understood({"run", "--registry", "rq", "-n", "3", "--redis", "redis://h", "--restart",
                    "never", "-s", "/a", "--", "rq", "worker", "-n", "--", "-h"});
    CHECK(line.run.command == Words{"rq", "worker", "-n", "--", "-h"});
    CHECK(line.run.registry == "rq");
    CHECK(line.run.processes == 3U);
    CHECK(line.run.redis == "redis://h");
    CHECK(line.run.restart == "never");
    CHECK(line.socket_path == "/a");
    CHECK(!understood({"run", "--", "true"}).run.processes.has_value());
    CHECK(has(complaint({"run", "-n", "2"}), "go with a command"));
    CHECK(has(complaint({"run", "-c", "x", "--", "true"}), "not both"));
    CHECK(has(complaint({"run", "--"}), "a command must follow --"));
    CHECK(!complaint({"run", "-n", "0", "--", "true"}).empty());
    CHECK(!complaint({"run", "-n", "many", "--", "true"}).empty());
    CHECK(!complaint({"run", "true"}).empty());
}

TEST_CASE("check takes a file") {
    CHECK(understood({"check", "-c", "x.toml", "--print"}).prints);
    CHECK(understood({"check", "--connect"}).connects);
    CHECK(understood({"status", "--watch", "shap"}).watches);
    CHECK(has(complaint({"status", "--watch", "--json"}), "for people"));
}

TEST_CASE("sweep is dry unless told otherwise, and takes a Redis of its own") {
    const CommandLine line = understood({"sweep"});
    CHECK(line.sweep.registry == "rq");
    CHECK_FALSE(line.sweep.applies);
    CHECK_FALSE(line.sweep.waits);
    const CommandLine all = understood({"sweep", "--redis", "redis://h", "--registry", "sidekiq",
                                        "--prefix", "m2", "--apply", "--wait", "--json"});
    CHECK(all.sweep.redis == "redis://h");
    CHECK(all.sweep.registry == "sidekiq");
    CHECK(all.sweep.prefix == "m2");
    CHECK(all.sweep.applies);
    CHECK(all.sweep.waits);
    CHECK(all.json);
    CHECK(understood({"workers", "--stale"}).only_stale);
    CHECK(has(complaint({"sweep", "x"}), "muster sweep -h"));
    CHECK(has(complaint({"workers", "x"}), "muster workers -h"));
}

TEST_CASE("every verb has its help") {
    for (const char* verb : {"run", "check", "status", "why", "events", "start", "stop", "restart",
                             "signal", "health", "shutdown", "version"}) {
        CAPTURE(verb);
        CHECK(has(help({verb, "-h"}), verb));
        CHECK(has(help({verb, "--help"}), "-h"));
        CHECK(has(help({"-h"}), verb));
    }
    CHECK(has(help({"stop", "-h"}), "--no-wait"));
    CHECK(help({"--version"}) == help({"-V"}));
}

TEST_CASE("wrong usage is told with a way out") {
    CHECK(has(complaint({}), "Usage: muster VERB"));
    CHECK(has(complaint({"-s", "/a"}), "Usage: muster VERB"));
    CHECK(has(complaint({"-s"}), "Usage: muster VERB"));
    CHECK(has(complaint({"statsu"}), "did you mean status?"));
    CHECK(has(complaint({"frobnicate"}), "there is no verb 'frobnicate'"));
    CHECK(has(complaint({"status", "--jsn"}), "muster status -h"));
    CHECK(has(complaint({"version", "x"}), "muster version -h"));
}
