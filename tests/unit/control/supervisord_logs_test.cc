#include "control/supervisord_logs.h"

#include <doctest/doctest.h>

#include <map>

#include "control/supervisord_api.h"

using namespace muster;
using namespace muster::control;

namespace {

constexpr std::string_view text = "0123456789";

std::string read(std::int32_t offset, std::int32_t length) {
    const auto slice = slice_to_read(offset, length);
    if (std::holds_alternative<Fault>(slice)) return std::get<Fault>(slice).text;
    const LogSlice part = std::get<ChooseLogSlice>(slice)(text.size());
    return part.at >= text.size() ? "" : std::string(text.substr(part.at, part.length));
}

struct Source final : BodySource {
    void start(BodySink&) override {}
};

// One process, with a log; and an API that reads it.
struct Rig {
    std::string state = "RUNNING";
    std::map<std::string, std::string> logs{{"one/out", std::string(text)}, {"/out", "main"}};
    std::vector<std::string> cleared;
    std::vector<std::string> events;
    std::optional<Fault> no_restart;
    SupervisordApi api{
        {.each_process =
             [this](const auto& visit) {
                 ProcessView process;
                 process.id = "one";
                 process.program = "one";
                 process.state = state;
                 visit(process);
             },
         .supervisor =
             [] {
                 SupervisorView view;
                 view.state = "running";
                 return view;
             },
         .act = {},
         .signal = {},
         .shutdown = {},
         .not_ready = {}},
        {.launchable = {},
         .logs = {.read =
                      [this](
                          const LogName& name, const ChooseLogSlice& choose, const LogRead& done) {
                          const auto log =
                              logs.find(name.process + (name.is_stderr ? "/err" : "/out"));
                          if (log == logs.end()) return done(make_fault(fault::no_file, "NO_FILE"));
                          const LogSlice part = choose(log->second.size());
                          done(LogPiece{
                              log->second.substr(std::min<std::size_t>(part.at, log->second.size()),
                                                 part.length),
                              log->second.size()});
                      },
                  .clear =
                      [this](const std::string& process, const auto& done) {
                          cleared.push_back(process);
                          done(std::nullopt);
                      },
                  .follow = [](const LogName&) { return std::make_shared<Source>(); }},
         .restart = [this](const auto& done) { done(no_restart); },
         .each_config = {},
         .remote_event = [this](const std::string& type,
                                const std::string& data) { events.push_back(type + " " + data); }}};

    std::string call(const std::string& method, const std::string& params = "") {
        std::string answer;
        api.handle({.method = "POST",
                    .path = "/RPC2",
                    .query = {},
                    .body = "<methodCall><methodName>supervisor." + method +
                            "</methodName><params>" + params + "</params></methodCall>"},
                   [&](const Response& response) { answer = response.body; });
        return answer;
    }
    Response stream(const std::string& path, const std::string& method = "GET") {
        Response answer;
        api.stream({.method = method, .path = path, .query = {}, .body = {}},
                   [&](Response response) { answer = std::move(response); });
        return answer;
    }
};

std::string name_and(const std::string& name, int offset, int length) {
    return "<param><value>" + name + "</value></param><param><value><int>" +
           std::to_string(offset) + "</int></value></param><param><value><int>" +
           std::to_string(length) + "</int></value></param>";
}

bool holds(const std::string& whole, std::string_view part) {
    return whole.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a log is read from an offset, or its last bytes") {
    CHECK(read(0, 0) == text);
    CHECK(read(4, 0) == "456789");
    CHECK(read(4, 3) == "456");
    CHECK(read(10, 3).empty());
    CHECK(read(-3, 0) == "789");
    CHECK(read(-30, 0) == text);
    CHECK(read(INT32_MIN, 0) == text);
    CHECK(read(0, -1) == "BAD_ARGUMENTS");
    CHECK(read(-1, 1) == "BAD_ARGUMENTS");
    CHECK(read(INT32_MAX, INT32_MAX).empty());
}

TEST_CASE("one call reads four megabytes at most, the end of them where the end is asked for") {
    const std::uint64_t huge = std::uint64_t{1} << 40;
    CHECK(std::get<ChooseLogSlice>(slice_to_read(0, 0))(huge).length == longest_log_piece);
    const LogSlice end = std::get<ChooseLogSlice>(slice_to_read(INT32_MIN, 0))(huge);
    CHECK(end.at + end.length == huge);
    CHECK(end.length == longest_log_piece);
    CHECK(tail_of(huge, 0, INT32_MAX).slice.length == longest_log_piece);
}

TEST_CASE("a tail is the last bytes, and nothing for who is at the end already") {
    CHECK(tail_of(8, 4, 1024).slice.at == 0);  // text that was seen comes again, as there
    CHECK_FALSE(tail_of(8, 4, 1024).has_overflowed);
    CHECK(tail_of(8, 8, 1024).slice.length == 0);
    CHECK(tail_of(2000, 0, 1024).has_overflowed);
    CHECK(tail_of(2000, 0, 1024).slice.at == 976);
    CHECK(tail_of(0, 0, 0).slice.length == 0);
    CHECK(tail_of(5, -7, -7).slice.length == 0);
}

TEST_CASE("supervisord's faults of the log calls, in its order") {
    Rig rig;
    CHECK(holds(rig.call("readProcessStdoutLog", name_and("one", 2, 3)), "<string>234<"));
    CHECK(holds(rig.call("readProcessStdoutLog", name_and("two", 0, -1)), "BAD_NAME: two"));
    CHECK(holds(rig.call("readProcessStderrLog", name_and("one", 0, -1)), "NO_FILE"));
    CHECK(holds(rig.call("readProcessStdoutLog", name_and("one", 0, -1)), "BAD_ARGUMENTS"));
    CHECK(holds(rig.call("tailProcessStderrLog", name_and("one", 0, 9)), "<string></string>"));
    CHECK(holds(rig.call("readProcessStdoutLog", name_and("", 0, 0)), "BAD_NAME"));
    CHECK(holds(rig.call("clearProcessLogs", "<param><value>two</value></param>"), "BAD_NAME"));
    CHECK(holds(rig.call("clearAllProcessLogs"), "<int>80</int>"));
    CHECK(rig.cleared == std::vector<std::string>{"one"});
}

TEST_CASE("what is sent to a stdin goes nowhere, and is said to") {
    Rig rig;
    const std::string chars = "<param><value>one</value></param><param><value>x</value></param>";
    CHECK(holds(rig.call("sendProcessStdin", chars), "NO_FILE: one"));
    rig.state = "STOPPING";
    CHECK(holds(rig.call("sendProcessStdin", chars), "NOT_RUNNING: one"));
    CHECK(holds(rig.call("sendRemoteCommEvent", chars), "<boolean>1<"));
    CHECK(rig.events == std::vector<std::string>{"one x"});
}

TEST_CASE("a restart that cannot be is a fault") {
    Rig rig;
    CHECK(holds(rig.call("restart"), "<boolean>1<"));
    rig.no_restart = make_fault(fault::cant_reread, "CANT_REREAD", "muster.toml:1:1: what");
    CHECK(holds(rig.call("restart"), "CANT_REREAD: muster.toml:1:1: what"));
}

TEST_CASE("log streams have supervisord's addresses") {
    Rig rig;
    for (const char* path : {"/logtail/one", "/logtail/one/stdout", "/logtail/one%3Aone"}) {
        const Response response = rig.stream(path);
        CHECK(response.status == 200);
        CHECK(response.body == text);
        CHECK(response.rest != nullptr);
    }
    CHECK(rig.stream("/mainlogtail").body == "main");
    for (const char* path :
         {"/logtail", "/logtail/", "/logtail/two", "/logtail/one:*", "/logtail/one/stderr",
          "/logtail/one/other", "/logtail/one/stdout/x", "/logtail/%", "/mainlogtail/x"})
        CHECK(rig.stream(path).status == 404);
    CHECK(rig.stream("/mainlogtail", "POST").status == 400);
    CHECK(is_log_stream("/logtail/one"));
    CHECK_FALSE(is_log_stream("/logtails"));
}
