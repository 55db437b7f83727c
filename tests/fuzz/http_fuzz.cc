// Whatever comes over the control socket: the server answers, closes, and lives.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "control/json_routes.h"
#include "unit/control/rig.h"

namespace {

using namespace muster::control;

Backend backend() {
    return {
        .each_process =
            [](const std::function<void(const ProcessView&)>& see) {
                ProcessView process;
                process.id = process.program = "a";
                process.state = "RUNNING";
                see(process);
            },
        .supervisor = [] { return SupervisorView{}; },
        .act = [](Verb, const std::string& selector, bool,
                  const VerbDone& done) -> std::optional<ApiError> {
            done({{.process = selector, .state = "RUNNING", .message = selector}});
            return std::nullopt;
        },
        .signal = [](const std::string& selector, int, const VerbDone&) -> std::optional<ApiError> {
            return ApiError{404, "no_such_process", selector, selector};
        },
        .reload =
            [](bool, bool, const ReloadDone& done) {
                done(ApiError{409, "no_file", "", ""});
            },
        .scale = [](const std::string& program, std::uint32_t, bool,
                    const VerbDone&) -> std::optional<ApiError> {
            return ApiError{404, "no_such_process", program, ""};
        },
        .shutdown = [] {},
        .not_ready = [] { return std::vector<std::string>{"a"}; },
        .logs = [](const LogQuery& query,
                   const HttpServer::Respond& respond) -> std::optional<ApiError> {
            respond({200, query.process, "text/plain; charset=utf-8"});
            return std::nullopt;
        },
        .registry = {.workers =
                         [](const WorkersQuery&, const auto& answered) {
                             answered(ApiError{503, "a", "b", ""});
                         },
                     .fleet = [](const auto& answered) { answered(std::vector<InstanceView>{}); },
                     .sweep = [](bool, const auto& answered) { answered(SweepView{}); }},
        .why = [](const std::string& id,
                  const std::function<void(const WhyView&)>&) -> std::optional<ApiError> {
            return ApiError{404, "no_such_process", id, ""};
        },
        .metrics =
            [](const std::function<void(const MetricsView&)>& tell) {
                const SupervisorView supervisor;
                const std::map<std::string, ProgramCounts, std::less<>> programs;
                const std::unordered_map<std::int32_t, UsageView> families;
                const std::map<std::string_view, std::uint64_t> releases;
                const muster::Histogram clean_times;
                tell({.supervisor = supervisor,
                      .programs = programs,
                      .families = families,
                      .releases = releases,
                      .clean_times = clean_times,
                      .turn_times = clean_times,
                      .own = {},
                      .each_process = [](const auto&) {}});
            },
        .events =
            [](const EventQuery&) {
                return Response{200, "{}"};
            },
    };
}

void must(bool is_so, const char* what) {
    if (is_so) return;
    std::fprintf(stderr, "not so: %s\n", what);
    std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const JsonRoutes routes{backend()};
    static Rig rig{[](const Request& request, const HttpServer::Respond& respond) {
        routes.handle(request, respond);
    }};
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const auto client = rig.connect();
    client->send(bytes);
    client->end();
    must(rig.until([&] { return client->is_closed(); }), "the connection ends");
    const bool is_asked = bytes.find_first_not_of("\r\n") != std::string_view::npos;
    must(client->received().starts_with("HTTP/1.1 ") == is_asked, "a request has an answer (I11)");
    must(rig.until([] { return rig.server.connections() == 0; }), "the server lets go");
    return 0;
}
