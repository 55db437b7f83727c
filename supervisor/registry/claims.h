#pragma once
// Names whose template is not unique by itself: claimed in Redis before the spawn, whatever the job
// system.

#include <chrono>
#include <functional>
#include <string>

#include "base/id.h"
#include "base/result.h"
#include "base/time.h"
#include "loop/lifeline.h"
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

    Claims(redis::Client& client, ClaimOwner owner);
    Claims(const Claims&) = delete;
    Claims& operator=(const Claims&) = delete;
    ~Claims() = default;

    // Claiming again what one holds is allowed and prolongs it.
    void claim(const Claim& claim, Done done);
    // Gives up a claim without a release (the process was never spawned).
    void drop(const Claim& claim);

private:
    redis::Client& client_;
    ClaimOwner owner_;
    loop::Lifeline lifeline_;
};

}  // namespace muster::registry
