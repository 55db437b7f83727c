#pragma once
// The sweep of one Redis: by one instance at a time, on an interval, and on order. What other
// supervisors' workers, or workers without any, left in the registry goes here; own deaths are told
// at once, elsewhere (debts.h).
//
// Keys (P = redis.prefix):
//   P:sweeper       string  who sweeps now; ends by itself where that one dies
//   P:swept         string  there as long as the last sweep is fresh: nobody need sweep again
//   P:looks:<kind>  hash    member -> ms (server) of the first look at which its key was missing
//
// What an interval costs, however many instances there are: one sweep. Beside it, each instance
// asks once whether it is its turn.

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "loop/lifeline.h"
#include "loop/loop.h"
#include "loop/timer.h"
#include "redis/client.h"
#include "registry/member_sets.h"
#include "registry/sweep_pass.h"

namespace muster::registry {

struct SweepOptions {
    std::string prefix = "muster";
    std::string owner;                              // of the lease: unique to this run of muster
    Duration interval = std::chrono::seconds{120};  // 0: only on order
    Duration apart = std::chrono::seconds{60};      // PassOptions
    Duration lease = std::chrono::seconds{30};
    std::size_t keys_searched = 4000;
    // Asked before each sweep and each of its pages; the Error says why not: a replica, data that
    // has only just come.
    std::function<Outcome()> may_decide;
    // Names of our own workers that live, asked once a pass. Empty: there are none.
    std::function<std::unordered_set<std::string>()> ours;
};

struct SweepEvents {
    std::function<void(const SweepReport&)> swept;     // on the interval, whole
    std::function<void(const Stale&)> removed;         // each, also on order
    std::function<void(const Error&)> could_not;       // told when it is another than before
    std::function<void(const std::string&)> is_blind;  // likewise: what Redis refuses to show
};

class Sweep {
public:
    Sweep(loop::Loop& loop,
          redis::Client& client,
          std::vector<MemberSets> systems,
          SweepOptions options,
          SweepEvents events);
    Sweep(const Sweep&) = delete;
    Sweep& operator=(const Sweep&) = delete;
    ~Sweep() = default;

    void start();  // sweeping on the interval

    // On order, at once; answered once, never inside the call. An applied one is refused while
    // another instance is at it.
    void run(bool applies, SweepPass::Each each, SweepPass::Done done);
    [[nodiscard]] bool is_sweeping() const { return order_ != nullptr; }

private:
    struct Order {
        bool applies = false;
        bool is_on_interval = false;
        SweepPass::Each each;
        SweepPass::Done done;
        SweepReport report;
        std::size_t system = 0;  // whose pass is under way
    };

    void time_has_come();
    void begin(Order order);
    void claim();
    void claimed(const redis::Reply& reply);
    void next_pass();
    void passed(Result<SweepReport> report);
    void finish(Result<SweepReport> report);
    void conclude(const Result<SweepReport>& report);
    void told(const Result<SweepReport>& report);
    void arm(const SweepReport& report);
    [[nodiscard]] PassOptions pass_options() const;
    [[nodiscard]] Duration until_next(const SweepReport& report) const;
    [[nodiscard]] Duration some_of(Duration least, Duration most);

    loop::Loop& loop_;
    redis::Client& client_;
    std::vector<MemberSets> systems_;
    std::vector<std::string> searches_;  // of each system, from pass to pass
    SweepOptions options_;
    SweepEvents events_;
    std::unique_ptr<Order> order_;  // null: none is under way
    std::unique_ptr<SweepPass> pass_;
    std::string last_trouble_;
    std::string last_blind_spot_;
    std::minstd_rand random_{std::random_device{}()};
    loop::Timer timer_;
    loop::Lifeline lifeline_;
};

}  // namespace muster::registry
