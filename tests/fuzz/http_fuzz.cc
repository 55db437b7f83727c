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
                see({.id = "a", .program = "a", .state = "RUNNING"});
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
        .shutdown = [] {},
        .not_ready = [] { return std::vector<std::string>{"a"}; },
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
