#include "client/events_view.h"

#include <doctest/doctest.h>

using namespace muster::client;

TEST_CASE("an event is one line, as in the log, and no order to the terminal") {
    CHECK(event_line(R"({"id":7,"time":"2026-05-16T01:24:48.287Z","level":"warn","event":"exited",
                         "process":"shap_00","reason":"say \"no\"","x":""})") ==
          "2026-05-16T01:24:48.287Z WARN  exited process=shap_00 reason=\"say \\\"no\\\"\" "
          "x=\"\"");
    CHECK(event_line(R"({"level":"critical","event":"bug","what":"\u001b[2J"})") ==
          "CRIT  bug what=?[2J");
    CHECK(event_line(R"({"level":"warn","event":"missed","events":3})") == "WARN  missed events=3");
    CHECK(event_line("no\x1b JSON") == "no? JSON");
}
