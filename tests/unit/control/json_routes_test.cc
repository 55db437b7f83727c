#include "control/json_routes.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "rig.h"

using namespace muster;
using namespace muster::control;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

// A supervisor of paper: two processes, and a memory of what it was asked.
struct Fake {
    Backend backend() {
        return {
            .each_process =
                [this](const std::function<void(const ProcessView&)>& see) {
                    for (const ProcessView& view : views) see(view);
                },
            .supervisor =
                [] {
                    SupervisorView view;
                    view.instance = "analytics-h-1";
                    view.pid = 1;
                    view.state = "running";
                    view.redis_state = "away";
                    view.redis_error = "connection refused";
                    view.debts = 2;
                    return view;
                },
            .act = [this](Verb verb, const std::string& selector, bool wait,
                          VerbDone done) -> std::optional<ApiError> {
                if (selector == "nobody")
                    return ApiError{404, "no_such_process", "there is no 'nobody'", "try all"};
                asked.push_back(fmt::format("{} {} {}", static_cast<int>(verb), selector, wait));
                if (wait)
                    waiting = std::move(done);
                else
                    done({{.process = "shap_00", .ok = true, .state = "STARTING", .message = ""}});
                return std::nullopt;
            },
            .signal = [this](const std::string& selector, int signal,
                             const VerbDone& done) -> std::optional<ApiError> {
                asked.push_back(fmt::format("signal {} {}", selector, signal));
                done({{.process = "a", .ok = false, .state = "STOPPED", .message = "not running"}});
                return std::nullopt;
            },
            .reload =
                [this](bool dry_run, bool wait, const ReloadDone& done) {
                    asked.push_back(fmt::format("reload {} {}", dry_run, wait));
                    if (wait)
                        return done(ApiError{422, "invalid_config", "m.toml:1:1: no", "nothing"});
                    done(Reloaded{{dry_run,
                                   {"new"},
                                   {"old"},
                                   {{"shap", {"stop"}, {"stdout"}, {"command"}, std::pair{2U, 4U}},
                                    {"mail", {"essential"}, {}, {}, {}}},
                                   {"group.x"},
                                   {"redis.url"}},
                                  {{"new", true, "STARTING", ""}}});
                },
            .scale = [this](const std::string& program, std::uint32_t processes, bool wait,
                            const VerbDone& done) -> std::optional<ApiError> {
                if (program == "nobody")
                    return ApiError{404, "no_such_process", "no program is called 'nobody'", ""};
                asked.push_back(fmt::format("scale {} {} {}", program, processes, wait));
                done({{.process = "shap_02", .ok = true, .state = "RUNNING", .message = ""}});
                return std::nullopt;
            },
            .shutdown = [this] { asked.emplace_back("shutdown"); },
            .not_ready = [this] { return missing; },
            .logs = [this](const LogQuery& query,
                           const HttpServer::Respond& respond) -> std::optional<ApiError> {
                if (query.process == "nobody")
                    return ApiError{404, "no_such_process", "there is no 'nobody'", ""};
                asked.push_back(fmt::format("logs {} {} {} {}", query.process, query.is_stderr,
                                            query.lines, query.follows));
                respond({.body = "said\n", .content_type = "text/plain"});
                return std::nullopt;
            },
            .why = [this](const std::string& id, const std::function<void(const WhyView&)>& tell)
                -> std::optional<ApiError> {
                if (id == "nobody")
                    return ApiError{404, "no_such_process", "there is no 'nobody'", ""};
                tell({views.at(1), "no such file", {&recent, &earlier}});
                return std::nullopt;
            },
            .events =
                [this](const EventQuery& query) {
                    asked.push_back(fmt::format("events {} {} {} {}", query.count,
                                                query.after ? fmt::to_string(*query.after) : "-",
                                                query.follows, query.is_sse));
                    return Response{.body = "{}"};
                },
        };
    }

    LastExit killed{.by_signal = true,
                    .number = 9,
                    .at = WallTime{1'700'000'000s},
                    .reason = "out of \"memory\""};
    Death recent{.incarnation = 4,
                 .pid = 70,
                 .name = "mail-h-70",
                 .at = WallTime{1'700'000'002s},
                 .since = {},
                 .uptime = 1500ms,
                 .by_signal = true,
                 .number = 9,
                 .reason = "signal:KILL",
                 .oom = Death::Oom::likely,
                 .oom_evidence = "it killed one",
                 .peak_memory = 4096,
                 .cpu = 20ms,
                 .cause = {},
                 .next = {},
                 .last_stdout = {},
                 .last_stderr = "bye\n",
                 .cleaned = {}};
    Death earlier{.incarnation = 3,
                  .pid = 60,
                  .name = "mail-h-60",
                  .at = WallTime{1'700'000'000s},
                  .since = {},
                  .uptime = 1s,
                  .by_signal = false,
                  .number = 3,
                  .reason = "exit:3",
                  .oom = Death::Oom::no,
                  .oom_evidence = {},
                  .peak_memory = 0,
                  .cpu = 0s,
                  .cause = "crashed",
                  .next = "BACKOFF",
                  .pause = 250ms,
                  .last_stdout = {},
                  .last_stderr = {},
                  .cleaned = Death::Cleaned{"removed", {"job-1"}, "", 3ms}};
    std::vector<ProcessView> views{
        {.id = "shap_00",
         .program = "shap",
         .index = 0,
         .state = "RUNNING",
         .pid = 64,
         .name = "shap-h-64",
         .incarnation = 3,
         .started_at = WallTime{1'700'000'001s},
         .uptime = 12'400ms,
         .restarts = 2,
         .failures = 0,
         .next_try_in = {},
         .ready = true,
         .held = {},
         .last_exit = &killed},
        {.id = "mail",
         .program = "mail",
         .state = "BACKOFF",
         .pid = {},
         .name = {},
         .started_at = {},
         .uptime = {},
         .next_try_in = 1s,
         .ready = {},
         .held = "redis away"},
    };
    std::vector<std::string> asked;
    std::vector<std::string> missing;
    std::optional<VerbDone> waiting;
};

// Straight to the routes: the wire has its own tests.
struct Answered {
    int status = 0;
    json body;
    std::string allow;
};

Answered answer(Fake& fake, const Request& request) {
    std::optional<Answered> answered;
    JsonRoutes{fake.backend()}.handle(request, [&](const Response& response) {
        CHECK(!answered.has_value());
        answered = Answered{response.status, json::parse(response.body, nullptr, false),
                            std::string(response.allow)};
    });
    REQUIRE(answered.has_value());
    CHECK(!answered->body.is_discarded());
    return *answered;
}

Answered get(Fake& fake, const std::string& path) {
    return answer(fake, {.method = "GET", .path = path, .query = {}, .body = {}});
}

Answered post(Fake& fake, const std::string& path, const std::string& body = {}) {
    return answer(fake, {.method = "POST", .path = path, .query = {}, .body = body});
}

}  // namespace

TEST_CASE("processes are told with exactly the agreed keys, absent values null") {
    Fake fake;
    const auto told = get(fake, "/v1/processes");
    CHECK(told.status == 200);
    CHECK(told.body == json::parse(R"({"processes":[
        {"id":"shap_00","program":"shap","group":null,"quiet":null,"index":0,"state":"RUNNING","pid":64,"name":"shap-h-64",
         "incarnation":3,"started_at":"2023-11-14T22:13:21.000Z","uptime":12.4,"restarts":2,
         "failures":0,"next_try_in":null,"health":"unknown","ready":true,
         "last_exit":{"signal":9,"at":"2023-11-14T22:13:20.000Z","reason":"out of \"memory\""}},
        {"id":"mail","program":"mail","group":null,"quiet":null,"index":0,"state":"BACKOFF","pid":null,"name":null,
         "incarnation":null,"started_at":null,"uptime":null,"restarts":0,"failures":0,
         "next_try_in":1.0,"health":"unknown","ready":null,"held":"redis away","last_exit":null}
        ]})"));
    fake.views.clear();
    CHECK(get(fake, "/v1/processes").body == json::parse(R"({"processes":[]})"));
}

TEST_CASE("one process is told by its id, percent-encoded or not") {
    Fake fake;
    CHECK(get(fake, "/v1/processes/mail").body["state"] == "BACKOFF");
    CHECK(get(fake, "/v1/processes/shap%5F00").body["pid"] == 64);
    const auto none = get(fake, "/v1/processes/shap");
    CHECK(none.status == 404);
    CHECK(none.body["error"]["code"] == "no_such_process");
}

TEST_CASE("the status has the supervisor, Redis and the processes") {
    Fake fake;
    const auto told = get(fake, "/v1/status");
    CHECK(told.body["supervisor"]["instance"] == "analytics-h-1");
    CHECK(told.body["supervisor"]["config"].is_null());
    CHECK(told.body["redis"]["state"] == "away");
    CHECK(told.body["redis"]["error"] == "connection refused");
    CHECK(told.body["redis"]["debts"] == 2);
    CHECK(told.body["processes"].size() == 2);
}

TEST_CASE("verbs reach the backend with their selector decoded") {
    Fake fake;
    const auto told = post(fake, "/v1/processes/shap%3A%2a/restart");
    CHECK(told.status == 200);
    CHECK(told.body == json::parse(R"({"processes":[
        {"process":"shap_00","ok":true,"state":"STARTING","message":""}]})"));
    post(fake, "/v1/processes/shap:shap_00/stop");
    post(fake, "/v1/processes/all/start");
    CHECK(fake.asked ==
          std::vector<std::string>{"2 shap:* false", "1 shap:shap_00 false", "0 all false"});
}

TEST_CASE("roll, quiet and resume are verbs like the others") {
    Fake fake;
    for (const char* verb : {"roll", "quiet", "resume"})
        CHECK(post(fake, std::string("/v1/processes/shap/") + verb).status == 200);
    CHECK(fake.asked == std::vector<std::string>{"3 shap false", "4 shap false", "5 shap false"});
}

TEST_CASE("a reload tells what changes, by what it takes") {
    Fake fake;
    const auto told = answer(fake, {"POST", "/v1/reload", "dry_run=true", ""});
    CHECK(told.status == 200);
    CHECK(told.body == json::parse(R"({"dry_run":true,"added":["new"],"changed":[
        {"program":"shap","live":["stop"],"next_start":["stdout"],"restart":["command"],
         "processes":{"from":2,"to":4}},
        {"program":"mail","live":["essential"],"next_start":[],"restart":[],"processes":null}],
        "removed":["old"],"live":["group.x"],"needs_restart":["redis.url"],
        "processes":[{"process":"new","ok":true,"state":"STARTING","message":""}]})"));
    const auto refused = answer(fake, {"POST", "/v1/reload", "wait=true", ""});
    CHECK(refused.status == 422);
    CHECK(refused.body["error"]["code"] == "invalid_config");
    CHECK(fake.asked == std::vector<std::string>{"reload true false", "reload false true"});
    CHECK(answer(fake, {"POST", "/v1/reload", "dry_run=maybe", ""}).status == 400);
    CHECK(get(fake, "/v1/reload").status == 405);
    CHECK(fake.asked.size() == 2);
}

TEST_CASE("scale takes one number and nothing else") {
    Fake fake;
    const auto scale = [&](const std::string& program, const std::string& body) {
        return answer(fake, {"POST", "/v1/programs/" + program + "/scale", "wait=true", body});
    };
    CHECK(scale("sh%61p", R"({"processes":4})").body["processes"][0]["process"] == "shap_02");
    CHECK(fake.asked == std::vector<std::string>{"scale shap 4 true"});
    CHECK(scale("nobody", R"({"processes":4})").status == 404);
    for (const char* body :
         {"", "4", "{}", R"({"processes":"4"})", R"({"processes":-1})", R"({"processes":4.5})",
          R"({"processes":99999999999})", R"({"processes":4,"x":1})"}) {
        CAPTURE(body);
        CHECK(scale("shap", body).status == 400);
    }
    CHECK(get(fake, "/v1/programs/shap/scale").status == 405);
    CHECK(post(fake, "/v1/programs/shap").status == 404);
    CHECK(post(fake, "/v1/programs/shap/grow").status == 404);
    CHECK(fake.asked.size() == 1);
}

TEST_CASE("with wait the answer comes when the verb is done") {
    Fake fake;
    const JsonRoutes routes{fake.backend()};
    Rig rig{[&](const Request& request, const HttpServer::Respond& respond) {
        routes.handle(request, respond);
    }};
    const auto client = rig.connect();
    client->send("POST /v1/processes/shap/stop?wait=true HTTP/1.1\r\n\r\n");
    REQUIRE(rig.until([&] { return fake.waiting.has_value(); }));
    CHECK(rig.ask("GET /livez HTTP/1.1\r\n\r\n")->status() == 200);
    CHECK(client->answers() == 0);
    (*fake.waiting)({{.process = "shap_00", .ok = true, .state = "STOPPED", .message = "stopped"}});
    CHECK(rig.until([&] { return client->answers() == 1; }));
    CHECK(json::parse(client->bodies()[0])["processes"][0]["state"] == "STOPPED");
}

TEST_CASE("I11: a selector that matches nothing, or cannot be read, is told") {
    Fake fake;
    const auto none = post(fake, "/v1/processes/nobody/start");
    CHECK(none.status == 404);
    CHECK(none.body["error"] == json::parse(R"({"code":"no_such_process",
        "message":"there is no 'nobody'","hint":"try all"})"));
    for (const char* path : {"/v1/processes/%zz/start", "/v1/processes/%4/start",
                             "/v1/processes/%00/start", "/v1/processes//start"}) {
        CAPTURE(path);
        CHECK(post(fake, path).status == 400);
    }
    CHECK(get(fake, "/v1/processes/").status == 400);
    CHECK(post(fake, "/v1/processes/").status == 405);
    CHECK(
        answer(
            fake,
            {.method = "POST", .path = "/v1/processes/all/stop", .query = "wait=maybe", .body = {}})
            .status == 400);
    CHECK(fake.asked.empty());
}

TEST_CASE("signals go by name or by number, and nothing else") {
    Fake fake;
    const std::string path = "/v1/processes/a/signal";
    const auto told = post(fake, path, R"({"signal":"HUP"})");
    CHECK(told.status == 200);
    CHECK(told.body["processes"][0]["ok"] == false);
    post(fake, path, R"({"signal":"SIGUSR1"})");
    post(fake, path, R"({"signal":15})");
    CHECK(fake.asked == std::vector<std::string>{"signal a 1", "signal a 10", "signal a 15"});
    for (const char* body :
         {"", "null", "[]", "{}", R"({"signal":"NOPE"})", R"({"signal":0})", R"({"signal":-9})",
          R"({"signal":4294967305})", R"({"signal":18446744073709551615})", R"({"signal":1.5})",
          R"({"signal":null})", R"({"signal":"HUP","x":1})", R"({"signal":"HUP")",
          "{\"signal\":\"\xff\"}"}) {
        CAPTURE(body);
        const auto refused = post(fake, path, body);
        CHECK(refused.status == 400);
        CHECK(refused.body["error"]["code"] == "bad_signal");
    }
    CHECK(post(fake, path, std::string(60'000, '[')).status == 400);
    CHECK(fake.asked.size() == 3);
}

TEST_CASE("logs are asked for by process, stream, lines and whether to go on") {
    Fake fake;
    Rig rig{[&](const Request& request, const HttpServer::Respond& respond) {
        JsonRoutes{fake.backend()}.handle(request, respond);
    }};
    const auto asked = [&](const std::string& target) {
        return rig.ask("GET " + target + " HTTP/1.1\r\n\r\n");
    };
    CHECK(asked("/v1/logs/shap_00")->bodies().front() == "said\n");
    CHECK(fake.asked.back() == "logs shap_00 false 100 false");
    CHECK(asked("/v1/logs/sh%61p?stream=stderr&tail=7&follow=true")->status() == 200);
    CHECK(fake.asked.back() == "logs shap true 7 true");
    CHECK(asked("/v1/logs/nobody")->status() == 404);
    const std::size_t before = fake.asked.size();
    for (const char* wrong :
         {"tail=x", "tail=-1", "tail=99999999", "stream=both", "follow=maybe", "x=1"})
        CHECK_MESSAGE(asked(std::string("/v1/logs/shap?") + wrong)->status() == 400, wrong);
    CHECK(asked("/v1/logs/")->status() == 404);
    CHECK(asked("/v1/logs/a/b")->status() == 404);
    CHECK(rig.ask("POST /v1/logs/shap HTTP/1.1\r\n\r\n")->status() == 405);
    CHECK(fake.asked.size() == before);
}

TEST_CASE("readyz names what is not ready, livez does not care") {
    Fake fake;
    CHECK(get(fake, "/readyz").status == 200);
    fake.missing = {"shap_00 (BACKOFF)", "mail"};
    const auto told = get(fake, "/readyz");
    CHECK(told.status == 503);
    CHECK(told.body["not_ready"] == json::parse(R"j(["shap_00 (BACKOFF)","mail"])j"));
    CHECK(told.body["error"]["message"] == "not ready: shap_00 (BACKOFF), mail");
    CHECK(get(fake, "/livez").status == 200);
}

TEST_CASE("a shutdown is answered before it begins") {
    Fake fake;
    bool answered = false;
    JsonRoutes{fake.backend()}.handle(
        {.method = "POST", .path = "/v1/shutdown", .query = {}, .body = {}},
        [&](const Response& response) {
            answered = response.status == 200;
            CHECK(fake.asked.empty());
        });
    CHECK(answered);
    CHECK(fake.asked == std::vector<std::string>{"shutdown"});
}

TEST_CASE("why tells of the state and of the last deaths, with exactly the agreed keys") {
    Fake fake;
    const auto told = get(fake, "/v1/processes/mail/why");
    CHECK(told.status == 200);
    CHECK(told.body["process"] == get(fake, "/v1/processes/mail").body);
    CHECK(told.body["trouble"] == "no such file");
    CHECK(told.body["deaths"] == json::parse(R"([
        {"at":"2023-11-14T22:13:22.000Z","reason":"signal:KILL","signal":9,"cause":null,"pid":70,
         "name":"mail-h-70","incarnation":4,"uptime":1.5,"oom":"likely",
         "oom_evidence":"it killed one","peak_memory":4096,"cpu":0.02,"jobs":null,
         "last_stdout":null,"last_stderr":"bye\n","cleaned":null,"next":null,"pause":0.0},
        {"at":"2023-11-14T22:13:20.000Z","reason":"exit:3","code":3,"cause":"crashed","pid":60,
         "name":"mail-h-60","incarnation":3,"uptime":1.0,"oom":"no","oom_evidence":null,
         "peak_memory":0,"cpu":0.0,"jobs":["job-1"],"last_stdout":null,"last_stderr":null,
         "cleaned":{"verdict":"removed","handed_back":["job-1"],"detail":null,"after":0.003},
         "next":"BACKOFF","pause":0.25}])"));
    CHECK(get(fake, "/v1/processes/nobody/why").status == 404);
    CHECK(post(fake, "/v1/processes/mail/why").allow == "GET, HEAD");
}

TEST_CASE("events are asked for as lines or, as a browser does, as server-sent events") {
    Fake fake;
    const auto ask = [&](const std::string& query, const std::string& accept = {},
                         const std::string& last = {}) {
        fake.asked.clear();
        const auto told = answer(fake, {.method = "GET",
                                        .path = "/v1/events",
                                        .query = query,
                                        .body = {},
                                        .accept = accept,
                                        .last_event_id = last});
        return told.status == 200 ? fake.asked.at(0) : std::to_string(told.status);
    };
    CHECK(ask("") == "events 100 - false false");
    CHECK(ask("follow=true&tail=0") == "events 0 - true false");
    CHECK(ask("after=7", "application/json", "5") == "events 100 7 false false");
    CHECK(ask("", "text/event-stream", "5") == "events 100 5 true true");
    CHECK(ask("follow=false", "text/event-stream") == "events 100 - false true");
    for (const char* wrong : {"follow=maybe", "tail=-1", "tail=x", "after=", "x", "after=1&=", "="})
        CHECK(ask(wrong) == "400");
    CHECK(post(fake, "/v1/events").allow == "GET, HEAD");
}

TEST_CASE("I11: what is not there, or asked wrongly, has its own answer") {
    Fake fake;
    for (const char* path : {"/", "/v1", "/v2/status", "/v1/statuses", "/v1/reloads",
                             "/v1/processes/a/fly", "/v1/processes/a/start/x"}) {
        CAPTURE(path);
        CHECK(post(fake, path).status == 404);
    }
    for (const char* path :
         {"/v1/processes", "/v1/status", "/livez", "/readyz", "/v1/processes/mail"}) {
        CAPTURE(path);
        const auto told = post(fake, path);
        CHECK(told.status == 405);
        CHECK(told.allow == "GET, HEAD");
    }
    CHECK(get(fake, "/v1/shutdown").allow == "POST");
    CHECK(get(fake, "/v1/processes/all/stop").allow == "POST");
    CHECK(fake.asked.empty());
}
