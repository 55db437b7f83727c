#include "client/registry_view.h"

#include <doctest/doctest.h>

#include "client/sweep.h"

using namespace muster;
using namespace muster::client;
using namespace std::chrono_literals;

namespace {

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("workers are a table: who is nobody's has a dash for an owner") {
    const Json workers = parse_json(R"([
        {"name":"shap-1","state":"alive","owner":"box-1/shap_00","host":"box","pid":"64",
         "activity":"busy","why":"it is our own"},
        {"name":"gone","state":"stale","owner":null,"host":null,"pid":null,"activity":null,
         "why":"its key is missing"}])");
    const std::string text = workers_table(workers, false);
    CHECK(has(text, "shap-1  alive  box-1/shap_00  box   64   busy      it is our own\n"));
    CHECK(has(text, "gone    stale  -              -     -    -         its key is missing\n"));
    CHECK(workers_table(Json::array(), false) == "no workers\n");
    CHECK(has(workers_table(workers, true), "\x1b[31mstale"));
}

TEST_CASE("the fleet is a table: programs with their processes, and what is left of the lease") {
    const std::string text = fleet_table(parse_json(R"([
        {"instance":"box-1","state":"alive","host":"box","version":"0.1.0","workers":3,
         "lease_left":61.2,"programs":[{"name":"shap","processes":2},{"name":"mail"}]},
        {"instance":"box-2","state":"dead","lease_left":-5.0}])"),
                                         false);
    CHECK(has(text, "box-1     alive  box   0.1.0    3        61s            shap=2 mail=1\n"));
    CHECK(has(text, "box-2     dead   -     -        0        over since 5s  -\n"));
    CHECK(fleet_table(Json{}, false) == "no instances\n");
}

TEST_CASE("a sweep tells what it would do, what was done, and what to do next") {
    control::SweepView sweep;
    sweep.seen = 50;
    CHECK(sweep_table(sweep, false) == "50 entries seen, none is stale\n");
    sweep.stale = 3;
    sweep.due = sweep.waiting = sweep.left = 1;
    sweep.next_due = 41'300ms;
    sweep.entries = {{.name = "a", .set = "s", .fate = "due", .due_in = {}, .why = "no key"},
                     {.name = "b", .set = "s", .fate = "waiting", .due_in = 41s, .why = "no key"},
                     {.name = "c", .set = "s", .fate = "left", .due_in = {}, .why = "it listens"}};
    std::string text = sweep_table(sweep, false);
    CHECK(has(text, "a     would be removed  no key\n"));
    CHECK(has(text, "b     waits             no key\n"));
    CHECK(has(text, "c     left              it listens\n"));
    CHECK(has(text, "50 entries seen, 3 stale: 1 would be removed, 1 waiting"));
    CHECK(has(text, "run it again in 42 s"));
    CHECK(has(text, "--apply removes them\n"));
    sweep.applied = true;
    sweep.removed = 1;
    sweep.due = sweep.waiting = 0;
    text = sweep_table(sweep, false);
    CHECK(has(text, "3 stale: 1 removed"));
    CHECK_FALSE(has(text, "run it again"));
    CHECK_FALSE(has(text, "--apply"));
}

TEST_CASE("a sweep without a Redis, or of a system without sets, is a wrong usage") {
    CommandLine line;
    line.verb = Verb::sweep;
    line.sweep.registry = "celery";
    Printed printed = sweep(line);
    CHECK(printed.status == exit_usage);
    CHECK(has(printed.err, "--registry celery"));
    line.sweep.registry = "rq";
    line.sweep.redis = "http://:hunter2@h";
    printed = sweep(line);
    CHECK(printed.status == exit_usage);
    CHECK_FALSE(has(printed.err, "hunter2"));
    line.sweep.redis = "redis://:hunter2@127.0.0.1:1/0";
    printed = sweep(line);
    CHECK(printed.status == exit_failed);
    CHECK(has(printed.err, "connection refused"));
    CHECK_FALSE(has(printed.err, "hunter2"));
}
