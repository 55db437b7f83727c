#pragma once
// What an earlier life of muster left behind in this very place: its survivors are found by their
// mark and ended by their stop steps; when nothing of it is alive, that is told.
//
// Nothing is proved where a process that it could have started cannot be read, or where one is left
// in a session of its workers without the mark: then its entries wait for its lease to be over.

#include <sys/types.h>

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/time.h"
#include "child/proc.h"
#include "core/policy.h"
#include "loop/loop.h"
#include "loop/timer.h"
#include "registry/roll.h"
#include "registry/settlement.h"

namespace muster::daemon {

// How a program's workers, and what they leave, are ended.
struct LastSteps {
    std::vector<core::StopStep> stop;
    core::Orphans orphans = core::Orphans::kill;
};

class EarlierLives {
public:
    using Done = std::function<void(registry::Witnessed)>;

    EarlierLives(loop::Loop& loop,
                 Log& log,
                 const registry::InstanceFacts& us,
                 std::function<LastSteps(const std::string& program)> steps_of);
    EarlierLives(const EarlierLives&) = delete;
    EarlierLives& operator=(const EarlierLives&) = delete;
    ~EarlierLives();

    // Answers in a later turn, when the survivors, where there are any, have ended.
    void witness(const registry::InstanceFacts& other,
                 const std::vector<registry::RollEntry>& entries,
                 Done done);
    [[nodiscard]] bool is_ending() const;  // somebody is waited for

private:
    struct Life;
    struct Look;
    [[nodiscard]] static Look look(const Life& life);
    static void look_at(pid_t pid, const child::ProcStat& stat, const Life& life, Look& seen);
    void pass(Life& life);
    void advance(Life& life, const Look& seen);
    void finish(Life& life, registry::Witnessed seen);

    loop::Loop& loop_;
    Log& log_;
    const registry::InstanceFacts& us_;
    std::function<LastSteps(const std::string&)> steps_of_;
    std::list<std::unique_ptr<Life>> lives_;
};

}  // namespace muster::daemon
