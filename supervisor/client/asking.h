#pragma once
// Reaching the supervisor, and its refusals as what a verb prints.

#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "client/command_line.h"
#include "client/control_verbs.h"
#include "client/http_client.h"

namespace muster::client {

constexpr Duration patience = std::chrono::seconds{10};

Printed failed(const CommandLine& line, int status, const Error& error);
Result<HttpClient> reach(const CommandLine& line);
Result<HttpReply> ask(const CommandLine& line, std::string_view method, std::string_view target);
Error error_of(const HttpReply& reply);
Printed refused(const CommandLine& line, const HttpReply& reply);

}  // namespace muster::client
