#pragma once
// All processes: routing, start order (`after`) and its reverse at the end, the earliest deadline,
// and when and how the whole ends. Cost of an event: that of its own process, and O(log n) for its
// deadline.

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/actions.h"
#include "core/process_machine.h"

namespace muster::core {

struct ProgramPlan {
    std::string name;
    Policy policy;
    std::vector<Dependency>
        after;  // names of programs in the same fleet; no cycles (config/ has checked)
    std::uint32_t processes = 1;
};

class Fleet {
public:
    Fleet(std::vector<ProgramPlan> programs, Duration release_wait);
    Fleet(const Fleet&) = delete;  // machines hold references to the programs' policies
    Fleet& operator=(const Fleet&) = delete;
    ~Fleet() = default;

    // Starts what autostarts, as its `after` allows. While the registry's gate is closed, programs
    // with a registry are held: at the very start Redis is given a moment (redis.wait), so that
    // earlier lives can be settled first.
    void close_registry_gate() { is_gate_closed_ = true; }
    void open_registry_gate(const Moment& moment, Actions& actions);
    void start_all(const Moment& moment, Actions& actions);
    void handle(const Event& event, const Moment& moment, Actions& actions);
    void fire_deadlines(const Moment& moment, Actions& actions);  // all that are due
    [[nodiscard]] std::optional<TimePoint> next_deadline() const;

    // Stops everything, dependents first, then orders Finish. `fast`: without patience for the
    // programs' own steps.
    void shut_down(int status, const Moment& moment, Actions& actions);
    void hasten(const Moment& moment, Actions& actions);  // KILL whatever is still being stopped
    [[nodiscard]] bool is_shutting_down() const { return ending_status_.has_value(); }

    void redis_is_back(const Moment& moment);  // held restarts are let go spread out (I13)

    [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(slots_.size()); }
    [[nodiscard]] const ProcessMachine& machine(ProcessId id) const {
        return slots_[id.value()].machine;
    }
    [[nodiscard]] ProgramId program_of(ProcessId id) const { return slots_[id.value()].program; }
    [[nodiscard]] ProcessId first_of(ProgramId id) const { return programs_[id.value()].first; }
    [[nodiscard]] std::uint32_t count_of(ProgramId id) const {
        return programs_[id.value()].plan.processes;
    }
    [[nodiscard]] std::uint32_t program_count() const {
        return static_cast<std::uint32_t>(programs_.size());
    }
    [[nodiscard]] const std::string& program_name(ProgramId id) const {
        return programs_[id.value()].plan.name;
    }

    // What a wanted process still waits for before its start: "waits for migrate:succeeded". "" =
    // for nothing.
    [[nodiscard]] std::string held_by(ProcessId id) const;

private:
    struct Edge {
        ProgramId program;
        Condition condition;
    };
    struct Program {
        ProgramPlan plan;
        ProcessId first{0};
        std::vector<Edge> after;
        std::vector<ProgramId> dependents;
    };
    struct Slot {
        ProcessMachine machine;
        ProgramId program{0};
        std::optional<TimePoint> armed;
        bool is_held = false;    // wanted, but waits for its `after`
        bool is_resting = true;  // as counted in resting_
        bool was_asked_down = false;
    };

    void apply(Slot& slot, const ProcessEvent& event, const Moment& moment, Actions& actions);
    void after_change(Slot& slot, std::size_t from, const Moment& moment, Actions& actions);
    void start_or_hold(Slot& slot, const Moment& moment, Actions& actions);
    void release_dependents(ProgramId program, const Moment& moment, Actions& actions);
    void stop_what_may(ProgramId program, const Moment& moment, Actions& actions);
    void judge_fatal(const Slot& slot, const Moment& moment, Actions& actions);
    void finish_if_done(Actions& actions);
    [[nodiscard]] std::optional<int> natural_end() const;
    [[nodiscard]] const Edge* unmet(ProgramId program) const;
    [[nodiscard]] bool holds(const Edge& edge) const;
    [[nodiscard]] bool is_down(ProgramId program) const;
    template <class F>
    void each_slot(ProgramId program, F&& f);

    std::vector<Program> programs_;
    std::vector<Slot> slots_;
    std::set<std::pair<TimePoint, std::uint32_t>> deadlines_;
    std::uint32_t resting_ = 0;
    std::optional<int> ending_status_;  // set: shutting down, and what Finish will say
    bool is_finished_ = false;
    bool is_gate_closed_ = false;
};

}  // namespace muster::core
