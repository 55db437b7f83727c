#include "registry/answers.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "registry/claims.h"
#include "registry/scripts.h"

namespace muster::registry {
namespace {

std::optional<Released::Verdict> verdict_named(const std::string& text) {
    if (text == "removed") return Released::Verdict::removed;
    if (text == "nothing_there") return Released::Verdict::nothing_there;
    if (text == "zombie_removed") return Released::Verdict::zombie_removed;
    if (text == "mismatch") return Released::Verdict::mismatch;
    if (text == "told") return Released::Verdict::told;
    if (text == "left") return Released::Verdict::left;
    if (text == "alive") return Released::Verdict::alive;
    if (text == "looked") return Released::Verdict::looked;
    if (text == "taken") return Released::Verdict::taken;
    return std::nullopt;
}

}  // namespace

Error unexpected(const char* what, const redis::Reply& reply) {
    if (reply.is_error()) return Error{fmt::format("{}: Redis refuses: {}", what, reply.text)};
    return Error{fmt::format("{}: Redis gave an answer of an unknown shape", what)};
}

Result<Released> released(const redis::Reply& reply) {
    const auto& parts = reply.elements;
    const bool begins_well =
        reply.is_array() && parts.size() >= 2 && parts[0].is_text() && parts[1].is_text();
    const auto verdict = begins_well ? verdict_named(parts[0].text) : std::nullopt;
    if (!verdict) return unexpected("releasing a worker", reply);
    Released done;
    done.verdict = *verdict;
    done.detail = parts[1].text;
    for (std::size_t i = 2; i < parts.size(); ++i) {
        const auto& job = parts[i];
        if (job.is_text())
            done.handed_back.push_back(job.text);
        else if (job.elements.size() == 1 && job.elements[0].is_text())
            done.failed.push_back(job.elements[0].text);
        else
            return unexpected("releasing a worker", reply);
    }
    return done;
}

std::function<void(Result<redis::Reply>)> answer_released(System::ReleaseDone done) {
    return [done = std::move(done)](const Result<redis::Reply>& reply) {
        if (reply)
            done(released(*reply));
        else
            done(reply.error());
    };
}

Sought sought_of(const Release& release) {
    return {.process = release.process,
            .incarnation = release.incarnation,
            .name = release.name,
            .pid = release.pid,
            .spawned_at = release.spawned_at,
            .may_choose_own_name = true,
            .kind = release.kind,
            .custom = release.custom};
}

void drop_claim_of(redis::Client& client,
                   const SystemOptions& options,
                   const Release& release,
                   Released::Verdict verdict,
                   System::ReleaseDone done) {
    client.eval(
        drop_claim, {claim_key(options.prefix, release.name)},
        {claim_value(options.owner, release.process)},
        [done = std::move(done), verdict, kind = release.kind](const Result<redis::Reply>& reply) {
            if (!reply) return done(reply.error());
            if (reply->type != redis::Reply::Type::integer)
                return done(unexpected("dropping the claim of a name", *reply));
            const bool is_left = verdict == Released::Verdict::left;
            done(Released{
                .verdict = verdict,
                .handed_back = {},
                .detail = is_left ? std::string(core::traits(kind).left_alone) : std::string{}});
        });
}

Duration ms_of(const std::string& text) {
    constexpr std::int64_t most = 10LL * 365 * 24 * 3600 * 1000;
    std::int64_t ms = 0;
    std::from_chars(text.data(), text.data() + text.size(), ms);
    return std::chrono::milliseconds{std::clamp(ms, -most, most)};
}

System::LookDone release_found(redis::Client& client,
                               const SystemOptions& options,
                               const Release& release,
                               std::function<void(const Registration&)> release_known,
                               System::ReleaseDone done) {
    return [&client, &options, release, release_known = std::move(release_known),
            done = std::move(done)](const Result<std::vector<System::Found>>& found) {
        if (!found) return done(found.error());
        if (const auto& known = found->front().second) return release_known(*known);
        drop_claim_of(client, options, release, Released::Verdict::nothing_there, done);
    };
}

}  // namespace muster::registry
