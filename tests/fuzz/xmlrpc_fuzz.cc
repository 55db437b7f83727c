// Whatever is posted to /RPC2: one answer; what was understood comes out of our writer as something
// that our reader understands as the same. The body is also the name of a process, for what comes
// out.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <pugixml.hpp>
#include <string>
#include <string_view>

#include "control/supervisord_api.h"
#include "control/xmlrpc.h"

namespace {

using namespace muster::control;

void must(bool is_so, const char* what) {
    if (is_so) return;
    std::fprintf(stderr, "not so: %s\n", what);
    std::abort();
}

Backend backend(std::string_view text) {
    return {
        .each_process =
            [text](const std::function<void(const ProcessView&)>& see) {
                ProcessView view;
                view.id = "web";
                view.program = "web";
                view.state = "RUNNING";
                view.name = text;
                view.stdout_path = text;
                see(view);
                view.id = text;  // whatever a name or a reason holds can be sent
                view.program = "b";
                view.state = "BACKOFF";
                see(view);
            },
        .supervisor = [] { return SupervisorView{}; },
        .act = [](Verb, const std::string& selector, bool,
                  const VerbDone& done) -> std::optional<ApiError> {
            if (selector == "nobody") return ApiError{404, "no_such_process", selector, ""};
            done({{.process = selector, .ok = true, .state = "RUNNING", .message = selector}});
            return std::nullopt;
        },
        .signal = [](const std::string& selector, int signal,
                     const VerbDone& done) -> std::optional<ApiError> {
            must(signal > 0 && signal <= 64, "a signal is one");
            done({{.process = selector, .ok = false, .state = "STOPPED", .message = selector}});
            return std::nullopt;
        },
        .reread =
            [text](const RereadDone& done) {
                done(ComparedGroups{{std::string(text)}, {"b"}, {}});
            },
        .add_group = [](const std::string& group) -> std::optional<ApiError> {
            return ApiError{409, "already_added", group, ""};
        },
        .remove_group = [](const std::string& group) -> std::optional<ApiError> {
            if (group != "web") return ApiError{404, "no_such_group", group, ""};
            return std::nullopt;
        },
        .shutdown = [] {},
        .not_ready = [] { return std::vector<std::string>{}; },
    };
}

// The value of a response as the parameter of a call.
std::string as_call(const xmlrpc::Value& value) {
    std::string text = xmlrpc::response(value);
    const auto begin = text.find("<params>");
    const auto end = text.rfind("</methodResponse>");
    return "<methodCall><methodName>again</methodName>" + text.substr(begin, end - begin) +
           "</methodCall>";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view body(reinterpret_cast<const char*>(data), size);
    if (const auto call = xmlrpc::parse_call(body)) {
        must(!call->method.empty(), "a call has a method");
        for (const xmlrpc::Value& param : call->params) {
            const auto again = xmlrpc::parse_call(as_call(param));
            must(again.ok() && again->params.size() == 1, "what is written can be read");
            must(xmlrpc::response(again->params.front()) == xmlrpc::response(param),
                 "what is written and read is the same");
        }
    }
    int answers = 0;
    SupervisordApi api{
        backend(body.substr(0, 200)),
        {.launchable = [](const std::string&) -> std::optional<Fault> { return std::nullopt; }}};
    api.handle({.method = "POST", .path = "/RPC2", .query = "", .body = std::string(body)},
               [&](const Response& response) {
                   ++answers;
                   must(response.status == 200 || response.status == 400, "yes, fault or no call");
                   if (response.status != 200) return;
                   pugi::xml_document document;
                   must(document.load_buffer(response.body.data(), response.body.size()) &&
                            document.child("methodResponse"),
                        "an answer is XML");
               });
    must(answers == 1, "a request has one answer (I11)");
    return 0;
}
