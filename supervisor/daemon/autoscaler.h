#pragma once
// [program.NAME.autoscale]: looks at the queues now and then, and sets the program's size. What
// size is core/autoscale's to say. Costs nothing while no program asks for it, and one call for all
// of them where some do; one more for each whose size may be too much, to ask who is busy.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "base/time.h"
#include "config/config.h"
#include "core/autoscale.h"
#include "loop/lifeline.h"
#include "loop/loop.h"
#include "loop/timer.h"

namespace muster::daemon {

class Autoscaler {
public:
    struct Tools {
        std::function<void(Duration fresh_for, std::function<void()>)> look;  // at the queues
        std::function<std::optional<std::uint64_t>(ProgramId)> depth;
        // How many are to stay; nothing: none of it is wanted now.
        std::function<std::optional<std::uint32_t>(ProgramId)> size;
        // How many have a job, as far as that can be known.
        std::function<void(ProgramId, std::function<void(Result<std::uint32_t>)>)> busy;
        std::function<void(ProgramId, std::uint32_t size, const std::string& why)> resize;
    };

    Autoscaler(loop::Loop& loop, Duration interval, Tools tools);
    Autoscaler(const Autoscaler&) = delete;
    Autoscaler& operator=(const Autoscaler&) = delete;
    ~Autoscaler() = default;

    void want(ProgramId program, const std::optional<config::Autoscale>& rule);
    // Looks soon: Redis is there, or the rules are new.
    void look_now();
    [[nodiscard]] std::vector<ProgramId> programs() const;
    // Why its size is what it is, as a sentence; "" where it is not scaled by us.
    [[nodiscard]] std::string why(ProgramId program) const;

private:
    struct Scaled {
        config::Autoscale rule;
        core::Autoscale autoscale = {};
        std::string why = "its queues have not been looked at yet";
    };

    void look();
    void looked();
    void consider(ProgramId program);
    void judge(ProgramId program, const core::Load& load);
    [[nodiscard]] Duration pause() const;

    loop::Loop& loop_;
    Duration interval_;
    Tools tools_;
    std::map<ProgramId, Scaled> scaled_;
    loop::Timer timer_;
    loop::Lifeline lifeline_;
};

}  // namespace muster::daemon
