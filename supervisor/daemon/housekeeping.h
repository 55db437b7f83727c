#pragma once
// What is done about the registries beside telling of own deaths: the sweep on its interval, and
// what operators ask of the registries and the roll.

#include <cstddef>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/log.h"
#include "base/time.h"
#include "control/api.h"
#include "loop/loop.h"
#include "redis/client.h"
#include "registry/registry.h"
#include "registry/roll.h"
#include "registry/sweep.h"
#include "registry/worker_list.h"

namespace muster::daemon {

class Housekeeping {
public:
    struct Options {
        std::string instance;
        std::string prefix;
        Duration interval;                          // of the sweep; 0: only on order
        std::vector<registry::RegistryKind> kinds;  // of our programs
        // Name and process of each own worker that lives. Asked once a sweep or page: O(processes).
        std::function<std::unordered_map<std::string, std::string>()> ours;
        std::function<Outcome()> may_decide;  // of what others left in Redis
        std::function<bool()> is_settling;    // it may soon: nothing is wrong
        // Empty: there is no roll.
        std::function<void(registry::InstancesRead)> read_instances;
    };

    Housekeeping(loop::Loop& loop, Log& log, redis::Client& client, const Options& options);
    Housekeeping(const Housekeeping&) = delete;
    Housekeeping& operator=(const Housekeeping&) = delete;
    ~Housekeeping() = default;

    void start() { sweep_.start(); }

    void workers(const control::WorkersQuery& query,
                 control::Answered<control::WorkersPage> answer);
    void fleet(const control::Answered<std::vector<control::InstanceView>>& answer);
    void sweep(bool applies, const control::Answered<control::SweepView>& answer);

    [[nodiscard]] std::uint64_t stale_removed() const { return stale_removed_; }

private:
    [[nodiscard]] registry::SweepEvents events();
    void swept(const registry::SweepReport& report, bool is_on_order);
    [[nodiscard]] control::ApiError refusal(const Error& error) const;

    Log& log_;
    redis::Client& client_;
    std::function<void(registry::InstancesRead)> read_instances_;
    std::function<bool()> is_settling_;
    std::vector<std::string> removed_;  // the first few of this sweep, for its line
    std::uint64_t stale_removed_ = 0;   // by all sweeps
    registry::Sweep sweep_;
    registry::WorkerList list_;
};

}  // namespace muster::daemon
