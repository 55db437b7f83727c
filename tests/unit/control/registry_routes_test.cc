#include "control/registry_routes.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <optional>

using namespace muster;
using namespace muster::control;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

struct Fake {
    RegistryBackend backend() {
        return {
            .workers =
                [this](const WorkersQuery& query, const Answered<WorkersPage>& answer) {
                    asked = query;
                    if (is_away) return answer(ApiError{503, "redis_away", "Redis is away", ""});
                    answer(WorkersPage{{{.kind = "rq",
                                         .name = "shap-\"1\"",
                                         .state = "alive",
                                         .instance = "box-1",
                                         .process = "shap_00",
                                         .host = "box",
                                         .pid = "64",
                                         .activity = "busy",
                                         .queues = "jobs",
                                         .why = "it is our own"},
                                        {.kind = "rq",
                                         .name = "gone",
                                         .state = "stale",
                                         .instance = {},
                                         .process = {},
                                         .host = {},
                                         .pid = {},
                                         .activity = {},
                                         .queues = {},
                                         .why = "its key is missing"}},
                                       "0:17"});
                },
            .fleet =
                [](const Answered<std::vector<InstanceView>>& answer) {
                    answer(std::vector<InstanceView>{
                        {.id = "box-1",
                         .service = "analytics",
                         .host = "box",
                         .version = "0.1.0",
                         .started_at = WallTime{1'700'000'000s},
                         .lease_left = 61s,
                         .workers = 2,
                         .programs = {{.name = "shap", .kind = "rq", .processes = 2}}},
                        {.id = "box-2",
                         .service = {},
                         .host = {},
                         .version = {},
                         .started_at = {},
                         .lease_left = -5s,
                         .workers = 0,
                         .programs = {}}});
                },
            .sweep =
                [this](bool applies, const Answered<SweepView>& answer) {
                    applied = applies;
                    SweepView view;
                    view.applied = applies;
                    view.seen = 7;
                    view.stale = 3;
                    view.waiting = 1;
                    view.due = 2;
                    view.next_due = 42s;
                    view.entries = {{.name = "gone",
                                     .set = "rq:workers",
                                     .fate = "waiting",
                                     .due_in = 42s,
                                     .why = "its key is missing"}};
                    answer(view);
                },
        };
    }

    bool is_away = false;
    std::optional<WorkersQuery> asked;
    std::optional<bool> applied;
};

struct Told {
    Response response;
    json body;
};

std::optional<Told> ask(Fake& fake,
                        const std::string& method,
                        const std::string& path,
                        const std::string& query = "") {
    std::optional<Told> told;
    const bool is_ours =
        registry_route(fake.backend(), {.method = method, .path = path, .query = query, .body = ""},
                       [&](const Response& response) {
                           told = Told{response, json::parse(response.body)};
                       });
    CHECK(is_ours == told.has_value());
    return told;
}

}  // namespace

TEST_CASE("a page of workers tells names, states, owners and why; absent values are null") {
    Fake fake;
    const auto told = ask(fake, "GET", "/v1/workers", "stale=true&limit=20&after=0%3A99");
    REQUIRE(told);
    CHECK(told->response.status == 200);
    CHECK(fake.asked->only_stale);
    CHECK(fake.asked->limit == 20);
    CHECK(fake.asked->after == "0:99");
    const json& first = told->body["workers"][0];
    CHECK(first["name"] == "shap-\"1\"");
    CHECK(first["state"] == "alive");
    CHECK(first["owner"] == "box-1/shap_00");
    CHECK(first["pid"] == "64");
    CHECK(told->body["workers"][1]["owner"].is_null());
    CHECK(told->body["workers"][1]["why"] == "its key is missing");
    CHECK(told->body["next"] == "0:17");
}

TEST_CASE("I11: parameters that are not understood change nothing and are named") {
    Fake fake;
    for (const char* query : {"stale", "stale=yes", "limit=0", "limit=1001", "limit=5x",
                              "after=", "after=%zz", "other=1", "&&stale=maybe"}) {
        CAPTURE(query);
        CHECK(ask(fake, "GET", "/v1/workers", query)->response.status == 400);
    }
    CHECK(ask(fake, "GET", "/v1/fleet", "x=1")->response.status == 400);
    for (const char* query : {"apply", "apply=yes", "x=1", "apply=true&x=1"}) {
        CAPTURE(query);
        CHECK(ask(fake, "POST", "/v1/sweep", query)->response.status == 400);
    }
    CHECK_FALSE(fake.asked);
    CHECK_FALSE(fake.applied);
}

TEST_CASE("the fleet tells who is alive and who is dead") {
    Fake fake;
    const auto told = ask(fake, "GET", "/v1/fleet");
    REQUIRE(told);
    const json& instances = told->body["instances"];
    REQUIRE(instances.size() == 2);
    CHECK(instances[0]["state"] == "alive");
    CHECK(instances[0]["programs"][0]["registry"] == "rq");
    CHECK(instances[0]["workers"] == 2);
    CHECK(instances[1]["state"] == "dead");
    CHECK(instances[1]["lease_left"] == -5.0);
}

TEST_CASE("a sweep is dry unless it is told to apply, and counts what it does not list") {
    Fake fake;
    auto told = ask(fake, "POST", "/v1/sweep");
    CHECK(fake.applied == false);
    CHECK(told->body["applied"] == false);
    CHECK(told->body["more"] == 2);
    CHECK(told->body["due_in"] == 42.0);
    CHECK(told->body["entries"][0]["fate"] == "waiting");
    told = ask(fake, "POST", "/v1/sweep", "apply=true");
    CHECK(fake.applied == true);
    CHECK(told->body["applied"] == true);
}

TEST_CASE(
    "I11: wrong methods and a Redis that is away have their answers; other paths are others'") {
    Fake fake;
    CHECK(ask(fake, "POST", "/v1/workers")->response.status == 405);
    CHECK(ask(fake, "DELETE", "/v1/fleet")->response.allow == "GET, HEAD");
    CHECK(ask(fake, "GET", "/v1/sweep")->response.allow == "POST");
    fake.is_away = true;
    const auto told = ask(fake, "GET", "/v1/workers");
    CHECK(told->response.status == 503);
    CHECK(told->body["error"]["code"] == "redis_away");
    CHECK_FALSE(ask(fake, "GET", "/v1/status"));
    CHECK_FALSE(ask(fake, "GET", "/v1/workers/x"));
}
