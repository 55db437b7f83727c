#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "client/control_verbs.h"

using namespace muster::client;

namespace {

const std::string body = R"({"supervisor":{"state":"running"},
    "redis":{"state":"away","error":"connection refused","debts":2},"processes":[
    {"id":"shap_00","program":"shap","state":"RUNNING","pid":64,"uptime":303.5,"restarts":2,
     "name":"shap-h-64","health":"unknown","next_try_in":null,"held":null},
    {"id":"shap_01","program":"shap","state":"BACKOFF","pid":null,"uptime":null,"restarts":0,
     "name":null,"health":"unknown","next_try_in":2.5,"held":null},
    {"id":"mail","program":"mail","state":"BACKOFF","pid":null,"uptime":null,"restarts":1,
     "name":null,"health":"unknown","next_try_in":null,"held":"redis away"}]})";

Printed shown(std::vector<std::string> selectors, bool json = false) {
    CommandLine line;
    line.verb = Verb::status;
    line.verb_name = "status";
    line.selectors = std::move(selectors);
    line.json = json;
    return show_status(line, body, false);
}

}  // namespace

TEST_CASE("the status is a table, and says when Redis is away") {
    const Printed printed = shown({});
    CHECK(printed.status == 3);
    CHECK(printed.out ==
          "PROCESS  STATE    PID  UPTIME  RESTARTS  NAME       HEALTH   NEXT TRY\n"
          "shap_00  RUNNING  64   5m 03s  2         shap-h-64  unknown  -\n"
          "shap_01  BACKOFF  -    -       0         -          unknown  in 2s\n"
          "mail     BACKOFF  -    -       1         -          unknown  held: redis away\n"
          "Redis is away: connection refused; 2 deaths are still to be told\n");
}

TEST_CASE("only what was asked for is shown and counts") {
    const Printed one = shown({"shap_00"});
    CHECK(one.status == 0);
    CHECK(one.out.find("mail") == std::string::npos);
    CHECK(shown({"shap:shap_00"}).status == 0);
    CHECK(shown({"shap"}).status == 3);
    CHECK(shown({"all"}).status == 3);
    const Printed none = shown({"shap_00", "mial"});
    CHECK(none.status == 4);
    CHECK(none.out.empty());
    CHECK(none.err == "muster status: there is no process 'mial'; did you mean mail?\n");
}

TEST_CASE("as JSON the status keeps what it does not know") {
    const auto json = nlohmann::json::parse(shown({"mail"}, true).out);
    REQUIRE(json["processes"].size() == 1);
    CHECK(json["processes"][0]["held"] == "redis away");
    CHECK(json["redis"]["debts"] == 2);
    CHECK(nlohmann::json::parse(shown({}, true).out) == nlohmann::json::parse(body));
}

TEST_CASE("an answer that is no status is no crash") {
    for (const char* text : {"", "[]", "nonsense", "null", "7"}) {
        CAPTURE(text);
        CHECK(show_status({}, text, false).status == 1);
    }
    CHECK(show_status({}, R"({"processes":[1,null,{"pid":"x","uptime":[]}]})", false).status == 3);
    CHECK(show_status({}, R"({"processes":7})", false).status == 0);
}

TEST_CASE("selectors are all, program, process, program:* and program:process") {
    CHECK(selects("all", "shap", "shap_00"));
    CHECK(selects("shap", "shap", "shap_00"));
    CHECK(selects("shap_00", "shap", "shap_00"));
    CHECK(selects("shap:*", "shap", "shap_00"));
    CHECK(selects("shap:shap_00", "shap", "shap_00"));
    CHECK(!selects("shap:shap_01", "shap", "shap_00"));
    CHECK(!selects("mail:*", "shap", "shap_00"));
    CHECK(!selects("sha", "shap", "shap_00"));
    CHECK(!selects("*", "shap", "shap_00"));
    CHECK(selects("night", "shap", "shap_00", "night"));
    CHECK(selects("night:*", "shap", "shap_00", "night"));
    CHECK(selects("night:shap_00", "shap", "shap_00", "night"));
    CHECK(!selects("night:shap_01", "shap", "shap_00", "night"));
    CHECK(!selects("", "shap", "shap_00", ""));
}
