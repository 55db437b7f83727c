#pragma once
// Names whose template is not unique by itself: claimed in Redis before the spawn, whatever the job
// system.

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "base/id.h"
#include "base/result.h"
#include "base/time.h"
#include "loop/lifeline.h"
#include "loop/loop.h"
#include "loop/timer.h"
#include "redis/client.h"

namespace muster::registry {

struct ClaimOwner {
    std::string prefix = "muster";
    std::string owner;  // unique to this run of muster
};

// P:claim:<name>, and what it holds of ours: for scripts that drop a claim with what they release.
std::string claim_key(const std::string& prefix, const std::string& name);
std::string claim_value(const std::string& owner, ProcessId process);

struct Claim {
    ProcessId process;
    std::string name;
    Duration lasts = std::chrono::minutes{2};  // until the worker has registered, and some more
    std::string holder_key = {};               // System::holder_key() of that name
};

struct ClaimOutcome {
    bool claimed = false;
    // Who holds it, as far as it is known.
    std::string pid = {};
    std::string hostname = {};
    std::string since = {};       // ISO; "" = unknown
    std::string claimed_by = {};  // owner of another claim, where no worker has registered yet
};

class Claims {
public:
    using Done = std::function<void(Result<ClaimOutcome>)>;

    Claims(loop::Loop& loop, redis::Client& client, ClaimOwner owner);
    Claims(const Claims&) = delete;
    Claims& operator=(const Claims&) = delete;
    ~Claims() = default;

    // Claiming again what one holds is allowed and prolongs it.
    void claim(const Claim& claim, Done done);
    // Gives up a claim without a release (the process was never spawned).
    void drop(const Claim& claim);

    // Prolongs a claim again and again: the name's live holder may be seen nowhere else, or its key
    // may expire while it stands still. Until let_go(), which leaves the claim to the release, or
    // to its end.
    void hold(const Claim& claim);
    void let_go(ProcessId process) { held_.erase(process); }

private:
    void arm(Duration until);
    void prolong();

    redis::Client& client_;
    ClaimOwner owner_;
    std::map<ProcessId, Claim> held_;
    loop::Loop& loop_;
    std::optional<TimePoint> due_;  // when the timer comes
    loop::Timer timer_;
    loop::Lifeline lifeline_;
};

}  // namespace muster::registry
