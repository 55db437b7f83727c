#include "client/asking.h"

#include <fmt/format.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "base/text.h"
#include "client/json_reading.h"
#include "control/default_paths.h"

namespace muster::client {

namespace {

std::vector<std::string> candidates(const CommandLine& line) {
    if (!line.socket_path.empty()) return {line.socket_path};
    const char* named = std::getenv("MUSTER_CONTROL");
    if (named != nullptr && named[0] != '\0') return {named};
    return control::default_control_paths();
}

}  // namespace

Printed failed(const CommandLine& line, int status, const Error& error) {
    std::string text = fmt::format("muster {}: {}\n", line.verb_name, error.message());
    if (!error.hint().empty()) text += fmt::format("  {}\n", error.hint());
    return {.status = status, .out = {}, .err = std::move(text)};
}

Result<HttpClient> reach(const CommandLine& line) {
    std::vector<std::string> tried;
    for (const std::string& path : candidates(line)) {
        auto client = HttpClient::connect(path);
        if (client) return client;
        tried.push_back(client.error().message());
    }
    return Error{fmt::format("the supervisor cannot be reached; tried {}", joined(tried, ", ")),
                 "is `muster run` running here, as this user? name its socket with -s PATH or "
                 "$MUSTER_CONTROL"};
}

Result<HttpReply> ask(const CommandLine& line, std::string_view method, std::string_view target) {
    auto client = reach(line);
    if (!client) return client.error();
    const Outcome sent = client->send(method, target);
    if (!sent) return sent.error();
    return client->receive(patience);
}

Error error_of(const HttpReply& reply) {
    const Json json = parse_json(reply.body);
    const Json& error = member(json, "error");
    const std::string message = text_of(error, "message");
    if (message.empty())
        return Error{fmt::format("the supervisor answered with status {}", reply.status)};
    return Error{message, text_of(error, "hint")};
}

Printed refused(const CommandLine& line, const HttpReply& reply) {
    const Json json = parse_json(reply.body);
    const bool is_unknown = text_of(member(json, "error"), "code") == "no_such_process";
    return failed(line, is_unknown ? exit_no_such_process : exit_failed, error_of(reply));
}

}  // namespace muster::client
