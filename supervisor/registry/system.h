#pragma once
// One job system in one Redis: what it holds of our workers, and what it must be told of a death.
// Chosen at run time, since one muster may supervise workers of several.

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
#include "core/job_system.h"
#include "redis/client.h"
#include "registry/registry.h"

namespace muster::registry {

struct SystemOptions {
    std::string hostname;  // as the workers see it: gethostname()
    std::string owner;     // of our claims: unique to this run of muster
    std::string prefix = "muster";
    // Whether a registered process is the sought one or of its family (a wrapper's child). Empty:
    // only the leader itself.
    std::function<bool(Pid registered, const Sought&)> is_of_family;
    std::string dyno = {};  // our own $DYNO, which Sidekiq takes for its hostname; "" = unset
    Duration between_looks = std::chrono::seconds{60};  // of a settlement, by the server's TIME
};

// Answers of look() and release() never come inside the call.
class System {
public:
    using Found = std::pair<Sought, std::optional<Registration>>;
    using LookDone = std::function<void(Result<std::vector<Found>>)>;
    using ReleaseDone = std::function<void(Result<Released>)>;
    using CheckDone = std::function<void(Result<std::vector<Presence>>)>;
    enum class Work : std::uint8_t { unknown, idle, busy };
    using WorkDone = std::function<void(Result<std::vector<Work>>)>;

    System() = default;
    System(const System&) = delete;
    System& operator=(const System&) = delete;
    virtual ~System() = default;

    [[nodiscard]] virtual RegistryKind kind() const = 0;

    // All sought at once, answered in their order. Not found is not an error. The registration of
    // an earlier life (born before the spawn) is not taken for this one's.
    virtual void look(std::vector<Sought> sought, LookDone done) = 0;

    // registry.h: removes exactly this worker, hands back its job, drops our claim of its name.
    // Only after the proof that its whole family is dead. Safe to repeat.
    virtual void release(const Release& release, ReleaseDone done) = 0;

    // Live own workers, answered in their order: whoever fell out of the registry is put back as it
    // was, where the job system allows that from outside. Here: nothing is known of anybody, which
    // is said at once by an empty answer.
    virtual void check(std::vector<Present> workers, CheckDone done);

    // A dead worker's family goes on with its job, and is waited for: what the worker would have
    // refreshed is refreshed. Here: nothing.
    virtual void keep(const Registration& registration);

    // What these registered workers are doing, in their order; here, and of whoever has gone:
    // unknown, said at once.
    virtual void work(std::vector<std::string> names, WorkDone done);

    // The hash by which a live holder of that name is seen; "" = the registry has none.
    [[nodiscard]] virtual std::string holder_key(const std::string& name) const;
};

// Null for kinds that this version does not support.
std::unique_ptr<System> make_system(RegistryKind kind,
                                    redis::Client& client,
                                    const SystemOptions& options);

}  // namespace muster::registry
