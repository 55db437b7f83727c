#pragma once
// All processes: routing, start order (`after`, priorities) and its reverse at the end, the
// earliest deadline, and when and how the whole ends. Cost of an event: that of its own process,
// and O(log n) for its deadline.
//
// Programs and processes come and go while it runs (reload, scale), but an id never means anybody
// else: a program of the same name, or its process of the same index, has its old id again. What is
// not there (any more) answers no event.

#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/actions.h"
#include "core/process_machine.h"
#include "core/rolls.h"

namespace muster::core {

struct ProgramPlan {
    std::string name;
    SharedPolicy policy;
    std::vector<Dependency>
        after;  // names of programs in the same fleet; no cycles (config/ has checked)
    std::uint32_t processes = 1;
    bool is_numbered = true;  // NAME_00, NAME_01, …; else the first is NAME
    Priority priority = {};
};

class Fleet {
public:
    Fleet(std::vector<ProgramPlan> programs, Duration release_wait);
    Fleet(const Fleet&) = delete;  // machines point to the programs' policies
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

    // New programs, and new settings of those that are there; nobody is stopped for it, and no
    // process is made: resize() does. Lives under way go on by the new policy.
    std::vector<ProgramId> put(std::vector<ProgramPlan> plans,
                               const Moment& moment,
                               Actions& actions);
    struct Resized {
        std::vector<ProcessId> added;
        std::vector<ProcessId> leaving;
    };
    // So many processes from here on. Too many: those of `leave_first` go, in its order, then the
    // highest. Who goes is stopped by its steps; then Forget is ordered. Who comes is started with
    // autostart, or where others of the program are wanted.
    Resized resize(ProgramId program,
                   std::uint32_t processes,
                   bool is_numbered,
                   const std::vector<ProcessId>& leave_first,
                   const Moment& moment,
                   Actions& actions);
    // Stops them for good, dependents first.
    void remove(const std::vector<ProgramId>& programs, const Moment& moment, Actions& actions);

    // One process at a time, as core/rolls.h tells; RollNews tell of each.
    RollId roll(const std::vector<ProcessId>& processes,
                Renewal why,
                const Moment& moment,
                Actions& actions);

    [[nodiscard]] std::uint32_t size() const {  // of all ids, also of those that are not there
        return static_cast<std::uint32_t>(slots_.size());
    }
    [[nodiscard]] bool is_there(ProcessId id) const { return slots_[id.value()].is_there; }
    [[nodiscard]] bool is_leaving(ProcessId id) const { return slots_[id.value()].is_leaving; }
    // Stopped by an operator, and since then wanted by nobody.
    [[nodiscard]] bool was_asked_down(ProcessId id) const {
        return slots_[id.value()].was_asked_down;
    }
    [[nodiscard]] const ProcessMachine& machine(ProcessId id) const {
        return slots_[id.value()].machine;
    }
    [[nodiscard]] ProgramId program_of(ProcessId id) const { return slots_[id.value()].program; }
    [[nodiscard]] std::uint32_t index_of(ProcessId id) const { return slots_[id.value()].index; }
    [[nodiscard]] bool is_numbered(ProcessId id) const { return slots_[id.value()].is_numbered; }

    [[nodiscard]] std::uint32_t program_count() const {  // of all ids
        return static_cast<std::uint32_t>(programs_.size());
    }
    [[nodiscard]] const ProgramPlan& plan(ProgramId id) const { return programs_[id.value()].plan; }
    [[nodiscard]] const std::string& program_name(ProgramId id) const {
        return programs_[id.value()].plan.name;
    }
    // Those that are there, by index.
    [[nodiscard]] const std::vector<ProcessId>& processes_of(ProgramId id) const {
        return programs_[id.value()].processes;
    }
    // How many are to stay: those there without those that are leaving.
    [[nodiscard]] std::uint32_t staying(ProgramId id) const;
    [[nodiscard]] std::optional<ProgramId> program_called(const std::string& name) const;
    // It stays: neither removed nor about to be.
    [[nodiscard]] bool is_there(ProgramId id) const { return !programs_[id.value()].is_leaving; }

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
        std::vector<ProcessId> processes;
        std::vector<ProcessId> former;  // not there: each waits to be wanted again
        std::vector<Edge> after;
        std::vector<ProgramId> dependents;
        bool is_leaving = false;  // or gone
    };
    struct Slot {
        ProcessMachine machine;
        ProgramId program{0};
        std::uint32_t index = 0;
        bool is_numbered = true;
        std::optional<TimePoint> armed;
        bool is_there = true;
        bool is_leaving = false;
        bool is_held = false;    // wanted, but waits for its `after`
        bool is_resting = true;  // as counted in resting_
        bool was_asked_down = false;
    };

    void apply(Slot& slot, const ProcessEvent& event, const Moment& moment, Actions& actions);
    void after_change(Slot& slot, std::size_t from, const Moment& moment, Actions& actions);
    void arm(Slot& slot);
    void start_or_hold(Slot& slot, const Moment& moment, Actions& actions);
    void release_dependents(ProgramId program, const Moment& moment, Actions& actions);
    void stop_what_may(ProgramId program, const Moment& moment, Actions& actions);
    void next_group();
    void stop_next_group(const Moment& moment, Actions& actions);
    void judge_fatal(const Slot& slot, const Moment& moment, Actions& actions);
    void finish_if_done(Actions& actions);
    [[nodiscard]] std::optional<int> natural_end() const;
    [[nodiscard]] const Edge* unmet(ProgramId program) const;
    [[nodiscard]] bool holds(const Edge& edge) const;
    [[nodiscard]] bool is_down(ProgramId program) const;
    template <class F>
    void each_slot(ProgramId program, F&& f);

    void link();
    void start_anew(Slot& slot, const Moment& moment, Actions& actions);
    std::optional<ProcessId> let_in(ProgramId program, std::uint32_t index, bool is_numbered);
    ProcessId take_in(ProgramId program, std::uint32_t index, bool is_numbered);
    void retire(Slot& slot, bool may_finish, const Moment& moment, Actions& actions);
    void retire_what_may(ProgramId program, const Moment& moment, Actions& actions);
    void gone(Slot& slot, const Moment& moment, Actions& actions);

    void advance_rolls(const Moment& moment, Actions& actions);

    Duration release_wait_;
    std::deque<Program> programs_;  // deques: machines point to policies, events to slots
    std::deque<Slot> slots_;
    std::set<std::pair<TimePoint, std::uint32_t>> deadlines_;
    Rolls rolls_;
    std::uint32_t there_ = 0;
    std::uint32_t resting_ = 0;               // of those there
    std::optional<int> ending_status_;        // set: shutting down, and what Finish will say
    std::uint32_t stopping_group_ = 0;        // while shutting down: the priority whose turn it is
    std::set<std::uint32_t> waiting_groups_;  // and those whose turn comes later
    bool is_finished_ = false;
    bool is_gate_closed_ = false;
};

}  // namespace muster::core
