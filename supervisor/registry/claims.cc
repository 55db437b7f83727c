#include "registry/claims.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "registry/answers.h"
#include "registry/scripts.h"

namespace muster::registry {
namespace {

Result<ClaimOutcome> claim_outcome(const redis::Reply& reply) {
    const auto& parts = reply.elements;
    const bool is_well_formed =
        reply.is_array() && !parts.empty() && std::ranges::all_of(parts, &redis::Reply::is_text);
    if (is_well_formed && parts[0].text == "claimed") return ClaimOutcome{.claimed = true};
    if (!is_well_formed || parts[0].text != "held" || parts.size() != 5)
        return unexpected("claiming a name", reply);
    return ClaimOutcome{.claimed = false,
                        .pid = parts[1].text,
                        .hostname = parts[2].text,
                        .since = parts[3].text,
                        .claimed_by = parts[4].text};
}

}  // namespace

std::string claim_key(const std::string& prefix, const std::string& name) {
    return fmt::format("{}:claim:{}", prefix, name);
}

std::string claim_value(const std::string& owner, ProcessId process) {
    return fmt::format("{}/{}", owner, process.value());
}

Claims::Claims(loop::Loop& loop, redis::Client& client, ClaimOwner owner)
    : client_(client), owner_(std::move(owner)), loop_(loop), timer_(loop, [this] { prolong(); }) {}

void Claims::claim(const Claim& claim, Done done) {
    client_.eval(registry::claim, {claim.holder_key, claim_key(owner_.prefix, claim.name)},
                 {claim_value(owner_.owner, claim.process),
                  std::to_string(std::max<std::int64_t>(1, in_ms(claim.lasts)))},
                 lifeline_.guard([done = std::move(done)](Result<redis::Reply> reply) {
                     if (reply)
                         done(claim_outcome(*reply));
                     else
                         done(reply.error());
                 }));
}

// It ends by itself should this not arrive.
void Claims::drop(const Claim& claim) {
    client_.eval(drop_claim, {claim_key(owner_.prefix, claim.name)},
                 {claim_value(owner_.owner, claim.process)}, [](const Result<redis::Reply>&) {});
}

void Claims::hold(const Claim& claim) {
    Claim ours = claim;
    ours.holder_key.clear();  // the live holder is our own
    held_.insert_or_assign(claim.process, std::move(ours));
    arm(claim.lasts / 3);
}

// The earliest time wins: who is held later must not put off the others.
void Claims::arm(Duration until) {
    const TimePoint at = loop_.now() + until;
    if (due_ && *due_ <= at) return;
    due_ = at;
    timer_.arm(at);
}

// While Redis is away nothing is asked: a claim that ended meanwhile is had again when it is back,
// unless somebody else was faster, whom nobody ends for that.
void Claims::prolong() {
    due_.reset();
    for (const auto& [process, held] : held_) {
        if (client_.is_connected()) claim(held, [](const Result<ClaimOutcome>&) {});
        arm(held.lasts / 3);
    }
}

}  // namespace muster::registry
