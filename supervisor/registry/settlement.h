#pragma once
// What other instances left in the roll: earlier lives in our place at once, before our first
// worker starts; others when their lease is over, by two looks. On what proof: roll.h. Each entry
// is released by one script, which looks at the roll again, so many may settle at the same moment.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "loop/lifeline.h"
#include "loop/loop.h"
#include "loop/timer.h"
#include "redis/client.h"
#include "registry/registry.h"
#include "registry/roll.h"
#include "registry/system.h"

namespace muster::registry {

// What this place tells of an earlier life in it.
struct Witnessed {
    bool is_dead = false;  // nothing of it is alive
    std::string why;       // else: for the log
};

struct SettlementTools {
    // Survivors are ended first, so the answer may take its time.
    std::function<void(
        const InstanceFacts&, const std::vector<RollEntry>&, std::function<void(Witnessed)>)>
        witness;
    std::function<void(const Release&, System::ReleaseDone)> release;
    // Of whom there is another sign of life than the release's script would see: names in, as many
    // answers out. Empty: nobody is asked.
    std::function<void(std::vector<std::string>, std::function<void(Result<std::vector<bool>>)>)>
        vetoes;
    std::function<void(const InstanceFacts&, const Release&, const Released&)> settled;
    std::function<void(const InstanceFacts&, const std::string& why)> left;
    std::function<void(const Error&)> trouble;
};

class Settlement {
public:
    static constexpr std::size_t most_in_flight = 64;
    // After a kill it takes Redis a moment to see that connections have ended.
    static constexpr Duration between_tries = std::chrono::milliseconds{200};
    static constexpr int most_tries = 10;

    Settlement(loop::Loop& loop,
               redis::Client& client,
               std::string prefix,
               const InstanceFacts& me,
               SettlementTools tools);
    Settlement(const Settlement&) = delete;
    Settlement& operator=(const Settlement&) = delete;
    ~Settlement();

    // Earlier lives in our place. `done` says whether Redis answered to the end.
    void settle_place(std::function<void(bool is_whole)> done);
    // Instances whose lease is over. Those whose settlement is under way are passed over.
    void settle(const std::vector<std::string>& ids);

private:
    struct Case;
    using CaseDone = std::function<void(bool is_whole)>;
    void next_of_place(const std::shared_ptr<std::vector<InstanceFacts>>& open,
                       const std::function<void(bool)>& done);
    void witness(const std::shared_ptr<Case>& one);
    void begin(const std::shared_ptr<Case>& one);
    void read(const std::shared_ptr<Case>& one);
    void ask_vetoes(const std::shared_ptr<Case>& one);
    void release_next(const std::shared_ptr<Case>& one);
    void answered(const std::shared_ptr<Case>& one, std::size_t index, Result<Released> result);
    void pass_over(const std::shared_ptr<Case>& one);
    void end(const std::shared_ptr<Case>& one);
    void failed(const std::shared_ptr<Case>& one, const Error& error);
    void finish(const std::shared_ptr<Case>& one, bool is_whole);
    [[nodiscard]] Release release_of(const Case& one, const RollEntry& entry) const;

    loop::Loop& loop_;
    redis::Client& client_;
    std::string prefix_;
    const InstanceFacts& me_;
    SettlementTools tools_;
    std::vector<std::shared_ptr<Case>> under_way_;
    loop::Lifeline lifeline_;
};

}  // namespace muster::registry
