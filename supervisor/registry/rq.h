#pragma once
// RQ's worker registry: what it holds of our workers, what it must be told of a death, and claims
// of names. Every change is one script that Redis runs as one step.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "loop/lifeline.h"
#include "redis/client.h"
#include "registry/registry.h"

namespace muster::registry {

struct RqOptions {
    std::string hostname;  // as the workers see it: gethostname()
    std::string owner;     // of our claims: unique to this run of muster
    std::string prefix = "muster";
    // Whether a registered process is the sought one or of its family (a wrapper's child). Empty:
    // only the leader itself.
    std::function<bool(Pid registered, const Sought&)> is_of_family;
};

// A name whose template is not unique by itself, wanted for a process.
struct Claim {
    ProcessId process;
    std::string name;
    Duration lasts = std::chrono::minutes{2};  // until the worker has registered, and some more
};

struct ClaimOutcome {
    bool claimed = false;
    // Who holds it, as far as it is known.
    std::string pid = {};
    std::string hostname = {};
    std::string since = {};       // ISO; "" = unknown
    std::string claimed_by = {};  // owner of another claim, where no worker has registered yet
};

class Rq {
public:
    using Found = std::pair<Sought, std::optional<Registration>>;
    using LookDone = std::function<void(Result<std::vector<Found>>)>;
    using ReleaseDone = std::function<void(Result<Released>)>;
    using ClaimDone = std::function<void(Result<ClaimOutcome>)>;

    Rq(redis::Client& client, RqOptions options);
    Rq(const Rq&) = delete;
    Rq& operator=(const Rq&) = delete;

    [[nodiscard]] bool is_connected() const { return client_.is_connected(); }

    // All sought at once, answered in their order. Not found is not an error. The registration of
    // an earlier life (born before the spawn) is not taken for this one's.
    void look(std::vector<Sought> sought, LookDone done);

    // registry.h: removes exactly this worker, hands back its job, drops our claim of its name.
    // Only after the proof that its whole family is dead. Safe to repeat.
    void release(const Release& release, ReleaseDone done);

    // Claiming again what one holds is allowed and prolongs it.
    void claim(const Claim& claim, ClaimDone done);
    // Gives up a claim without a release (the process was never spawned).
    void drop_claim(const Claim& claim);

private:
    struct Search;
    void look_by_name(const std::shared_ptr<Search>& search);
    void look_by_process(const std::shared_ptr<Search>& search, const std::string& cursor);
    void take_rows(Search& search,
                   std::size_t first,
                   std::size_t end,
                   const Result<redis::Reply>& reply) const;
    void take_page(Search& search, const std::vector<redis::Reply>& rows) const;
    [[nodiscard]] static bool needs_search(const Found& found);
    void release_known(const Release& release, ReleaseDone done);
    [[nodiscard]] bool is_theirs(const Registration& found, const Sought& sought) const;
    [[nodiscard]] std::string claim_key(const std::string& name) const;
    [[nodiscard]] std::string claim_value(ProcessId process) const;

    redis::Client& client_;
    RqOptions options_;
    loop::Lifeline lifeline_;
};

}  // namespace muster::registry
