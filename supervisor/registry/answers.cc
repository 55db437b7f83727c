#include "registry/answers.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>

namespace muster::registry {
namespace {

std::optional<Released::Verdict> verdict_named(const std::string& text) {
    if (text == "removed") return Released::Verdict::removed;
    if (text == "nothing_there") return Released::Verdict::nothing_there;
    if (text == "zombie_removed") return Released::Verdict::zombie_removed;
    if (text == "mismatch") return Released::Verdict::mismatch;
    return std::nullopt;
}

}  // namespace

Error unexpected(const char* what, const redis::Reply& reply) {
    if (reply.is_error()) return Error{fmt::format("{}: Redis refuses: {}", what, reply.text)};
    return Error{fmt::format("{}: Redis gave an answer of an unknown shape", what)};
}

Result<Released> released(const redis::Reply& reply) {
    const auto& parts = reply.elements;
    const bool is_well_formed =
        reply.is_array() && parts.size() >= 2 && std::ranges::all_of(parts, &redis::Reply::is_text);
    const auto verdict = is_well_formed ? verdict_named(parts[0].text) : std::nullopt;
    if (!verdict) return unexpected("releasing a worker", reply);
    Released done;
    done.verdict = *verdict;
    done.detail = parts[1].text;
    for (std::size_t i = 2; i < parts.size(); ++i) done.handed_back.push_back(parts[i].text);
    return done;
}

}  // namespace muster::registry
