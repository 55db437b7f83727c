#include "control/metrics.h"

#include <doctest/doctest.h>

#include "control/api.h"

using namespace muster;
using namespace muster::control;
using namespace std::chrono_literals;

namespace {

struct Scene {
    SupervisorView supervisor;
    std::map<std::string, ProgramCounts, std::less<>> programs;
    std::unordered_map<std::int32_t, UsageView> families;
    std::map<std::string_view, std::uint64_t> releases;
    Histogram clean_times;
    Histogram turn_times;
    QueuesView queues;

    [[nodiscard]] std::string text() const {
        return metrics_text({.supervisor = supervisor,
                             .programs = programs,
                             .families = families,
                             .releases = releases,
                             .clean_times = clean_times,
                             .turn_times = turn_times,
                             .dropped_lines = 7,
                             .stale_removed = 9,
                             .queues = queues,
                             .own = {4096, 1500ms},
                             .each_process = [](const auto& visit) {
                                 ProcessView process;
                                 process.id = "shap_00";
                                 process.program = "shap";
                                 process.state = "RUNNING";
                                 process.pid = 64;
                                 process.name = "shap-h-64";
                                 process.uptime = 2500ms;
                                 process.restarts = 3;
                                 process.ready = true;
                                 visit(process);
                                 ProcessView odd;
                                 odd.id = "a\"b\\c\nd";
                                 odd.program = "odd";
                                 odd.state = "BACKOFF";
                                 odd.failures = 2;
                                 odd.next_try_in = 250ms;
                                 visit(odd);
                             }});
    }
};

bool has_line(const std::string& text, const std::string& line) {
    return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

}  // namespace

TEST_CASE("each process has its series, and nothing where there is nothing to say") {
    Scene scene;
    scene.families[64] = {3, 1 << 20, 1250ms};
    const std::string text = scene.text();
    CHECK(has_line(text, R"(muster_processes{program="shap",state="RUNNING"} 1)"));
    CHECK(has_line(text, R"(muster_processes{program="shap",state="FATAL"} 0)"));
    CHECK(has_line(text, R"(muster_process_state{program="shap",process="shap_00"} 20)"));
    CHECK(has_line(text, R"(muster_process_ready{program="shap",process="shap_00"} 1)"));
    CHECK(has_line(text, R"(muster_process_uptime_seconds{program="shap",process="shap_00"} 2.5)"));
    CHECK(has_line(text, R"(muster_process_restarts_total{program="shap",process="shap_00"} 3)"));
    CHECK(has_line(text, R"(muster_family_processes{program="shap",process="shap_00"} 3)"));
    CHECK(has_line(
        text, R"(muster_family_resident_memory_bytes{program="shap",process="shap_00"} 1048576)"));
    CHECK(has_line(text,
                   R"(muster_family_cpu_seconds_total{program="shap",process="shap_00"} 1.25)"));
    const std::string odd = R"({program="odd",process="a\"b\\c\nd"})";
    CHECK(has_line(text, "muster_process_state" + odd + " 30"));
    CHECK(has_line(text, "muster_process_backoff_seconds" + odd + " 0.25"));
    CHECK(text.find("muster_process_uptime_seconds" + odd) == std::string::npos);
    CHECK(text.find("muster_family_processes" + odd) == std::string::npos);
    CHECK(text.find("shap-h-64") == std::string::npos);  // no worker names
}

TEST_CASE("programs, the registry and the supervisor have theirs") {
    Scene scene;
    ProgramCounts& counts = scene.programs["shap"];
    counts.restarts["crashed"] = 2;
    counts.exits = 1;
    counts.signals = 4;
    counts.oom_kills = 5;
    counts.handed_back = 6;
    scene.releases["removed"] = 8;
    scene.supervisor.redis_state = "none";
    const std::string text = scene.text();
    CHECK(has_line(text, R"(muster_restarts_total{program="shap",reason="crashed"} 2)"));
    CHECK(has_line(text, R"(muster_restarts_total{program="shap",reason="asked"} 0)"));
    CHECK(has_line(text, R"(muster_deaths_total{program="shap",kind="exit"} 1)"));
    CHECK(has_line(text, R"(muster_deaths_total{program="shap",kind="signal"} 4)"));
    CHECK(has_line(text, R"(muster_deaths_total{program="shap",kind="oom"} 5)"));
    CHECK(has_line(text, R"(muster_jobs_handed_back_total{program="shap"} 6)"));
    CHECK(has_line(text, R"(muster_releases_total{verdict="removed"} 8)"));
    CHECK(has_line(text, R"(muster_releases_total{verdict="mismatch"} 0)"));
    CHECK(has_line(text, "muster_log_lines_dropped_total 7"));
    CHECK(has_line(text, "muster_stale_removed_total 9"));
    CHECK(has_line(text, "process_cpu_seconds_total 1.5"));
    CHECK(text.find("\nmuster_redis_up ") == std::string::npos);
    scene.supervisor.redis_state = "connected";
    CHECK(has_line(scene.text(), "muster_redis_up 1"));
    scene.supervisor.redis_state = "away";
    CHECK(has_line(scene.text(), "muster_redis_up 0"));
}

TEST_CASE("a queue has its depth, as long as it is known") {
    Scene scene;
    const std::string unknown = scene.text();
    CHECK(unknown.find("\nmuster_queue_depth{") == std::string::npos);
    CHECK(unknown.find("\nmuster_queue_depth_age_seconds ") == std::string::npos);
    CHECK(has_line(unknown, "muster_queues_left_out 0"));
    scene.queues = {{{"rq", "a\"b", 3}, {"sidekiq", "default", 0}}, 1500ms, 2};
    const std::string text = scene.text();
    CHECK(has_line(text, R"(muster_queue_depth{registry="rq",queue="a\"b"} 3)"));
    CHECK(has_line(text, R"(muster_queue_depth{registry="sidekiq",queue="default"} 0)"));
    CHECK(has_line(text, "muster_queue_depth_age_seconds 1.5"));
    CHECK(has_line(text, "muster_queues_left_out 2"));
}

TEST_CASE("a histogram's buckets count all that is below them") {
    Scene scene;
    scene.clean_times.observe(2ms);
    scene.clean_times.observe(2ms);
    scene.clean_times.observe(300ms);
    scene.clean_times.observe(10min);
    const std::string text = scene.text();
    CHECK(has_line(text, R"(muster_clean_seconds_bucket{le="0.001"} 0)"));
    CHECK(has_line(text, R"(muster_clean_seconds_bucket{le="0.0025"} 2)"));
    CHECK(has_line(text, R"(muster_clean_seconds_bucket{le="60"} 3)"));
    CHECK(has_line(text, R"(muster_clean_seconds_bucket{le="+Inf"} 4)"));
    CHECK(has_line(text, "muster_clean_seconds_count 4"));
}
