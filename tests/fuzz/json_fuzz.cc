// Whatever is asked of the control API: one answer, of JSON, and nothing done that was not
// understood. The input's first line is "METHOD path?query", the rest is the body; all of it is
// also the name of a process, for what comes out.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "control/json_routes.h"

namespace {

using namespace muster::control;

void must(bool is_so, const char* what) {
    if (is_so) return;
    std::fprintf(stderr, "not so: %s\n", what);
    std::abort();
}

// What the request led to.
struct Asked {
    int verbs = 0;
    int signals = 0;
    int shutdowns = 0;
    int reloads = 0;
    [[nodiscard]] int all() const { return verbs + signals + shutdowns + reloads; }
};

Backend backend(std::string_view text, Asked& asked) {
    return {
        .each_process =
            [text](const std::function<void(const ProcessView&)>& see) {
                ProcessView view;
                view.id = text;
                view.program = "a";
                view.state = "RUNNING";
                view.name = text;
                view.held = text;
                see(view);
            },
        .supervisor = [] { return SupervisorView{}; },
        .act = [&asked](Verb, const std::string& selector, bool,
                        const VerbDone& done) -> std::optional<ApiError> {
            must(!selector.empty(), "a verb has a selector");
            ++asked.verbs;
            if (selector == "nobody")
                return ApiError{404, "no_such_process", selector, "GET /v1/processes names all"};
            done({{.process = selector, .ok = true, .state = "RUNNING", .message = selector}});
            return std::nullopt;
        },
        .signal = [&asked](const std::string& selector, int signal,
                           const VerbDone& done) -> std::optional<ApiError> {
            must(!selector.empty() && signal > 0 && signal <= 64, "a signal is one");
            ++asked.signals;
            done({{.process = selector, .ok = false, .state = "STOPPED", .message = selector}});
            return std::nullopt;
        },
        .reload =
            [&asked, text](bool dry_run, bool, const ReloadDone& done) {
                ++asked.reloads;
                const std::string word(text);
                done(Reloaded{{dry_run, {word}, {word}, {{word, {word}, {}, {}, {}}}, {}, {word}},
                              {}});
            },
        .scale = [&asked](const std::string& program, std::uint32_t processes, bool,
                          const VerbDone& done) -> std::optional<ApiError> {
            ++asked.verbs;
            if (processes == 0) return ApiError{400, "bad_parameter", program, ""};
            done({{.process = program, .ok = true, .state = "RUNNING", .message = ""}});
            return std::nullopt;
        },
        .shutdown = [&asked] { ++asked.shutdowns; },
        .not_ready = [text] { return std::vector<std::string>{std::string(text)}; },
        .logs = [text](const LogQuery& query,
                       const HttpServer::Respond& respond) -> std::optional<ApiError> {
            if (query.is_stderr) return ApiError{404, "no_such_process", query.process, ""};
            respond({200, std::string(text), "text/plain; charset=utf-8"});
            return std::nullopt;
        },
        .registry = {.workers =
                         [](const WorkersQuery&, const auto& answered) {
                             answered(ApiError{503, "a", "b", ""});
                         },
                     .fleet = [](const auto& answered) { answered(std::vector<InstanceView>{}); },
                     .sweep = [](bool, const auto& answered) { answered(SweepView{}); }},
        .why = [text](const std::string& id,
                      const std::function<void(const WhyView&)>& tell) -> std::optional<ApiError> {
            if (id.empty()) return ApiError{404, "no_such_process", id, ""};
            Death death;
            death.name = text;
            death.reason = text;
            death.last_stdout = text;
            tell({ProcessView{}, text, {&death}});
            return std::nullopt;
        },
        .metrics = [](const auto&) {},  // has tests of its own, and an answer that is no JSON
        .events =
            [](const EventQuery& query) {
                return Response{200, "{}", query.is_sse ? "text/event-stream" : "application/json"};
            },
    };
}

Request request_of(std::string_view text) {
    const auto line = text.substr(0, text.find('\n'));
    Request request;
    request.body = text.substr(std::min(text.size(), line.size() + 1));
    const auto space = line.find(' ');
    request.method = line.substr(0, space);
    const auto target = space == std::string_view::npos ? "" : line.substr(space + 1);
    const auto question = target.find('?');
    request.path = target.substr(0, question);
    if (question != std::string_view::npos) request.query = target.substr(question + 1);
    return request;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const Request request = request_of(text);
    if (request.path == "/metrics") return 0;
    Asked asked;
    int answers = 0;
    JsonRoutes{backend(text, asked)}.handle(request, [&](const Response& response) {
        ++answers;
        if (!response.content_type.starts_with("application/json")) return;
        must(nlohmann::json::accept(response.body), "an answer is JSON");
        must(response.status == 200 || response.status >= 400, "a status says yes or no");
        must(response.status < 400 || request.path == "/readyz" ||
                 nlohmann::json::parse(response.body)["error"]["message"].is_string(),
             "an error has a message (I11)");
    });
    must(answers == 1, "a request has one answer (I11)");
    must(asked.all() == 0 || (request.method == "POST" && asked.all() == 1),
         "only a POST does something, and only one thing");
    return 0;
}
