#include "client/why_view.h"

#include <doctest/doctest.h>

#include "client/watch.h"

using namespace muster::client;

TEST_CASE("why is told in words, deaths with all that is known of them") {
    CHECK(why_text(R"({"process":{"id":"shap_00","state":"BACKOFF","pid":null,"restarts":2,
        "failures":3,"next_try_in":2.5,"held":null},"trouble":"signal:KILL","deaths":[
        {"at":"2026-05-16T01:24:48.287Z","reason":"signal:KILL","signal":9,"cause":"crashed",
         "pid":64,"name":"shap-h-64","uptime":312.5,"oom":"likely","oom_evidence":"it killed one",
         "peak_memory":104857600,"cpu":1.25,"jobs":["j1","j2"],"last_stdout":null,
         "last_stderr":"one\ntwo\u001b\n","cleaned":{"verdict":"removed",
         "handed_back":["j1","j2"],"detail":null,"after":0.003},"next":"BACKOFF","pause":3.0}]})") ==
          "shap_00  BACKOFF, 2 restarts, 3 failures in a row, next try in 2.500s\n"
          "  because: signal:KILL\n"
          "  last deaths:\n"
          "  2026-05-16T01:24:48.287Z  signal:KILL (crashed) after 5m 12s, pid 64, shap-h-64\n"
          "    OOM      likely: it killed one\n"
          "    memory   at most 100.0 MiB in one of its processes; CPU 1.250s\n"
          "    job      j1, j2\n"
          "    registry removed, 0.003s after the death\n"
          "    then     BACKOFF for 3.000s\n"
          "    stderr   | one\n"
          "             | two?\n");
    CHECK(why_text(R"({"process":{"id":"a","state":"RUNNING","pid":7,"uptime":61,"name":"n",
                      "restarts":0},"trouble":null,"deaths":[]})") ==
          "a  RUNNING, pid 7, up 1m 01s, n, 0 restarts\n  no deaths so far\n");
}

TEST_CASE("a screen wipes out what was there before, and ends where the terminal ends") {
    CHECK(screen("one\ntwo\n", 24) == "\x1b[Hone\x1b[K\ntwo\x1b[K\n\x1b[J");
    CHECK(screen("one\ntwo\nthree\n", 3) == "\x1b[Hone\x1b[K\ntwo\x1b[K\n\x1b[J");
    CHECK(screen("", 24) == "\x1b[H\x1b[J");
}

TEST_CASE("an answer that tells nothing is no crash") {
    for (const char* text : {"", "[]", "7", "{}", R"({"deaths":[1,null,{"jobs":7}]})",
                             R"({"process":[],"deaths":{}})"})
        CHECK(!why_text(text).empty());
}
