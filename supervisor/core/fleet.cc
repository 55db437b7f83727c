#include "core/fleet.h"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace muster::core {

namespace {

using namespace std::chrono_literals;

// Two held restarts are let go this far apart when Redis is back.
constexpr Duration return_spacing = 50ms;

bool counts_as_started(State state) {
    return state == State::running || state == State::starting || state == State::exited;
}

const char* condition_name(Condition condition) {
    switch (condition) {
        case Condition::started:
            return "started";
        case Condition::ready:
            return "ready";
        case Condition::succeeded:
            return "succeeded";
    }
    return "?";
}

}  // namespace

Fleet::Fleet(std::vector<ProgramPlan> plans, Duration release_wait) : release_wait_(release_wait) {
    for (ProgramPlan& plan : plans) {
        const ProgramId id{program_count()};
        programs_.push_back({std::move(plan), {}, {}, {}, {}});
        const ProgramPlan& taken = programs_.back().plan;
        programs_.back().processes.reserve(taken.processes);
        for (std::uint32_t i = 0; i < taken.processes; ++i)
            take_in(id, i, taken.is_numbered || i > 0);
    }
    link();
}

// Who waits for whom: from the plans' names to ids.
void Fleet::link() {
    std::unordered_map<std::string_view, ProgramId> ids;
    for (std::uint32_t p = 0; p < programs_.size(); ++p) {
        programs_[p].dependents.clear();
        if (!programs_[p].is_leaving || !programs_[p].processes.empty())
            ids.emplace(programs_[p].plan.name, ProgramId{p});
    }
    for (std::uint32_t p = 0; p < programs_.size(); ++p) {
        Program& program = programs_[p];
        program.after.clear();
        for (const Dependency& dependency : program.plan.after) {
            const auto other = ids.find(dependency.program);
            if (other == ids.end()) continue;
            program.after.push_back({other->second, dependency.condition});
            programs_[other->second.value()].dependents.push_back(ProgramId{p});
        }
    }
}

// A process that is there from here on, in its old slot where it has one.
ProcessId Fleet::take_in(ProgramId id, std::uint32_t index, bool is_numbered) {
    Program& program = programs_[id.value()];
    const auto old =
        std::find_if(program.former.begin(), program.former.end(), [&](ProcessId former) {
            const Slot& slot = slots_[former.value()];
            return slot.index == index && slot.is_numbered == is_numbered;
        });
    ProcessId process{size()};
    if (old == program.former.end()) {
        slots_.push_back({ProcessMachine{process, *program.plan.policy, release_wait_},
                          id,
                          index,
                          is_numbered,
                          {}});
    } else {
        process = *old;
        program.former.erase(old);
        Slot& slot = slots_[process.value()];
        slot.is_there = true;
        slot.was_asked_down = false;
    }
    ++there_;
    ++resting_;
    const auto place = std::upper_bound(
        program.processes.begin(), program.processes.end(), index,
        [&](std::uint32_t i, ProcessId other) { return i < slots_[other.value()].index; });
    program.processes.insert(place, process);
    return process;
}

template <class F>
void Fleet::each_slot(ProgramId id, F&& f) {
    // By value: a process that has gone leaves the list.
    const std::vector<ProcessId> processes = programs_[id.value()].processes;
    for (const ProcessId process : processes) f(slots_[process.value()]);
}

std::uint32_t Fleet::staying(ProgramId id) const {
    const auto& processes = programs_[id.value()].processes;
    return static_cast<std::uint32_t>(
        std::count_if(processes.begin(), processes.end(),
                      [&](ProcessId process) { return !slots_[process.value()].is_leaving; }));
}

std::optional<ProgramId> Fleet::program_called(const std::string& name) const {
    for (std::uint32_t p = 0; p < programs_.size(); ++p) {
        if (programs_[p].plan.name == name) return ProgramId{p};
    }
    return std::nullopt;
}

void Fleet::start_all(const Moment& moment, Actions& actions) {
    std::vector<ProgramId> order;
    for (std::uint32_t p = 0; p < programs_.size(); ++p) order.emplace_back(p);
    std::stable_sort(order.begin(), order.end(), [&](ProgramId a, ProgramId b) {
        return programs_[a.value()].plan.priority < programs_[b.value()].plan.priority;
    });
    for (const ProgramId program : order) {
        if (!programs_[program.value()].plan.policy->autostart) continue;
        each_slot(program, [&](Slot& slot) { start_or_hold(slot, moment, actions); });
    }
}

void Fleet::start_or_hold(Slot& slot, const Moment& moment, Actions& actions) {
    if (is_shutting_down()) return;
    slot.was_asked_down = false;
    slot.is_held =
        unmet(slot.program) != nullptr || (is_gate_closed_ && slot.machine.policy().has_registry);
    if (!slot.is_held) apply(slot, StartWanted{}, moment, actions);
}

void Fleet::open_registry_gate(const Moment& moment, Actions& actions) {
    if (!is_gate_closed_) return;
    is_gate_closed_ = false;
    for (Slot& slot : slots_) {
        if (slot.is_held) start_or_hold(slot, moment, actions);
    }
    finish_if_done(actions);
}

void Fleet::handle(const Event& event, const Moment& moment, Actions& actions) {
    Slot& slot = slots_[event.process.value()];
    if (!slot.is_there) return;
    if (std::holds_alternative<StartWanted>(event.what) ||
        std::holds_alternative<RestartWanted>(event.what)) {
        if (slot.is_leaving) return;
        if (slot.machine.is_resting()) {
            start_or_hold(slot, moment, actions);
            return advance_rolls(moment, actions);
        }
        if (is_shutting_down()) return;
        slot.was_asked_down = false;
    }
    const auto* recycling = std::get_if<RecyclingWanted>(&event.what);
    if (recycling != nullptr && recycling->who == slot.machine.incarnation()) {
        rolls_.recycle(slot.machine.id(), slot.machine.incarnation(), recycling->why);
        return advance_rolls(moment, actions);
    }
    // Whoever waits for its dependents' end is not replaced any more, for whatever reason.
    const bool is_renewal = std::holds_alternative<RenewalWanted>(event.what) ||
                            std::holds_alternative<Unhealthy>(event.what);
    if (is_renewal && (is_shutting_down() || slot.is_leaving || slot.was_asked_down)) return;
    if (std::holds_alternative<StopWanted>(event.what)) {
        slot.is_held = false;
        slot.was_asked_down = true;
    }
    apply(slot, event.what, moment, actions);
    if (slot.was_asked_down) finish_if_done(actions);
    advance_rolls(moment, actions);
}

void Fleet::apply(Slot& slot, const ProcessEvent& event, const Moment& moment, Actions& actions) {
    const std::size_t told = actions.transitions.size();
    slot.machine.handle(event, moment, actions);
    after_change(slot, told, moment, actions);
}

void Fleet::arm(Slot& slot) {
    const auto due = slot.machine.deadline();
    if (due == slot.armed) return;
    const std::uint32_t index = slot.machine.id().value();
    if (slot.armed) deadlines_.erase({*slot.armed, index});
    if (due) deadlines_.emplace(*due, index);
    slot.armed = due;
}

// Everything that follows from a change of one process: its deadline, those who waited for it, and
// the end.
void Fleet::after_change(Slot& slot, std::size_t told, const Moment& moment, Actions& actions) {
    arm(slot);
    const bool rests = slot.machine.is_resting();
    const bool came_to_rest = rests && !slot.is_resting;
    if (rests != slot.is_resting) {
        slot.is_resting = rests;
        rests ? ++resting_ : --resting_;
    }
    if (actions.transitions.size() == told && !came_to_rest) return;
    if (!programs_[slot.program.value()].dependents.empty())
        release_dependents(slot.program, moment, actions);
    if ((is_shutting_down() || slot.is_leaving) && slot.machine.state() == State::backoff) {
        return apply(slot, StopWanted{}, moment, actions);  // nothing is started any more
    }
    if (slot.machine.state() == State::fatal && !slot.is_leaving)
        judge_fatal(slot, moment, actions);
    if (!came_to_rest) return;
    const bool has_left = slot.is_leaving;
    if (has_left) gone(slot, moment, actions);
    if (is_shutting_down()) {
        for (const Edge& edge : programs_[slot.program.value()].after)
            stop_what_may(edge.program, moment, actions);
        stop_next_group(moment, actions);
    } else if (has_left) {
        return;  // what an operator takes away does not end the supervisor
    }
    finish_if_done(actions);
}

bool Fleet::holds(const Edge& edge) const {
    for (const ProcessId process : programs_[edge.program.value()].processes) {
        if (slots_[process.value()].is_leaving) continue;
        const ProcessMachine& machine = slots_[process.value()].machine;
        const State state = machine.state();
        const bool has_succeeded = state == State::exited && machine.ended_as_expected();
        bool met = false;
        switch (edge.condition) {
            case Condition::started:
                met = counts_as_started(state);
                break;
            case Condition::ready:
                met = state == State::running || has_succeeded;
                break;
            case Condition::succeeded:
                met = has_succeeded;
                break;
        }
        if (!met) return false;
    }
    return true;
}

const Fleet::Edge* Fleet::unmet(ProgramId id) const {
    for (const Edge& edge : programs_[id.value()].after) {
        if (!holds(edge)) return &edge;
    }
    return nullptr;
}

std::string Fleet::held_by(ProcessId id) const {
    const Slot& slot = slots_[id.value()];
    if (!slot.is_held) return {};
    const Edge* edge = unmet(slot.program);
    if (edge == nullptr) return "waits for Redis";
    return "waits for " + programs_[edge->program.value()].plan.name + ":" +
           condition_name(edge->condition);
}

void Fleet::release_dependents(ProgramId id, const Moment& moment, Actions& actions) {
    for (const ProgramId dependent : programs_[id.value()].dependents) {
        if (unmet(dependent) != nullptr) continue;
        each_slot(dependent, [&](Slot& slot) {
            if (slot.is_held) start_or_hold(slot, moment, actions);
        });
    }
}

void Fleet::fire_deadlines(const Moment& moment, Actions& actions) {
    while (!deadlines_.empty() && deadlines_.begin()->first <= moment.now) {
        Slot& slot = slots_[deadlines_.begin()->second];
        deadlines_.erase(deadlines_.begin());
        slot.armed.reset();
        const std::size_t told = actions.transitions.size();
        slot.machine.deadline_reached(moment, actions);
        if (slot.machine.has_grown_old())
            rolls_.recycle(slot.machine.id(), slot.machine.incarnation(), Renewal::too_old);
        after_change(slot, told, moment, actions);
    }
    advance_rolls(moment, actions);
}

std::optional<TimePoint> Fleet::next_deadline() const {
    if (deadlines_.empty()) return std::nullopt;
    return deadlines_.begin()->first;
}

void Fleet::shut_down(int status, const Moment& moment, Actions& actions) {
    if (is_shutting_down()) return;
    ending_status_ = status;
    for (const Program& program : programs_) waiting_groups_.insert(program.plan.priority.group);
    next_group();
    for (Slot& slot : slots_) {
        slot.is_held = false;
        // Whoever runs waits for its dependents; whoever is between two lives, or only claims the
        // name of its next one, has no next one.
        const State state = slot.machine.state();
        const bool is_claiming = state == State::starting && !slot.machine.has_child();
        if (state == State::backoff || state == State::stopping || is_claiming)
            apply(slot, StopWanted{}, moment, actions);
    }
    for (std::uint32_t p = 0; p < programs_.size(); ++p)
        stop_what_may(ProgramId{p}, moment, actions);
    stop_next_group(moment, actions);
    advance_rolls(moment, actions);
    finish_if_done(actions);
}

bool Fleet::is_down(ProgramId id) const {
    const auto& processes = programs_[id.value()].processes;
    return std::all_of(processes.begin(), processes.end(), [&](ProcessId process) {
        return slots_[process.value()].machine.is_resting();
    });
}

// A program is stopped when it is its group's turn, and nobody who was started after it is still
// there.
void Fleet::stop_what_may(ProgramId id, const Moment& moment, Actions& actions) {
    if (programs_[id.value()].plan.priority.group < stopping_group_) return;
    const auto& dependents = programs_[id.value()].dependents;
    if (!std::all_of(dependents.begin(), dependents.end(), [&](ProgramId d) { return is_down(d); }))
        return;
    each_slot(id, [&](Slot& slot) {
        const State state = slot.machine.state();
        if (state == State::stopped || state == State::exited || state == State::fatal) return;
        apply(slot, StopWanted{}, moment, actions);
    });
}

void Fleet::next_group() {
    if (waiting_groups_.empty()) return;
    const auto highest = std::prev(waiting_groups_.end());
    stopping_group_ = *highest;
    waiting_groups_.erase(highest);
}

// O(programs), after each end, but only while a group waits: by default all have one priority.
void Fleet::stop_next_group(const Moment& moment, Actions& actions) {
    while (!waiting_groups_.empty()) {
        for (std::uint32_t p = 0; p < programs_.size(); ++p) {
            if (programs_[p].plan.priority.group >= stopping_group_ && !is_down(ProgramId{p}))
                return;
        }
        next_group();
        for (std::uint32_t p = 0; p < programs_.size(); ++p) {
            if (programs_[p].plan.priority.group == stopping_group_)
                stop_what_may(ProgramId{p}, moment, actions);
        }
    }
}

void Fleet::hasten(const Moment& moment, Actions& actions) {
    for (Slot& slot : slots_) {
        slot.is_held = false;
        apply(slot, StopWanted{}, moment, actions);
        apply(slot, StopHastened{}, moment, actions);
    }
}

void Fleet::redis_is_back(const Moment& moment) {
    TimePoint when = moment.now;
    for (Slot& slot : slots_) {
        if (!slot.machine.awaits_redis()) continue;
        slot.machine.redis_is_back(when);
        when += return_spacing;
        arm(slot);
    }
}

void Fleet::judge_fatal(const Slot& slot, const Moment& moment, Actions& actions) {
    switch (slot.machine.policy().on_fatal) {
        case OnFatal::stay:
            return;
        case OnFatal::exit:
            return shut_down(1, moment, actions);
        case OnFatal::exit_when_all:
            break;
    }
    if (!slot.machine.policy().essential) return;
    const bool all_are_fatal = std::all_of(slots_.begin(), slots_.end(), [](const Slot& other) {
        return !other.is_there || other.is_leaving || !other.machine.policy().essential ||
               other.machine.state() == State::fatal;
    });
    if (all_are_fatal) shut_down(1, moment, actions);
}

namespace {

// As the status of the whole, where this one failed first.
int status_of(const ProcessMachine& machine) {
    if (machine.state() == State::fatal) return 1;
    const Exit exit = machine.last_exit().value_or(Exit{false, 1});
    return exit.by_signal ? 128 + exit.number : exit.number;
}

}  // namespace

// Nothing is left to run: the status to end with, or nothing where an operator may still want
// something.
std::optional<int> Fleet::natural_end() const {
    bool has_ended = false;
    std::optional<int> first_failure;
    for (const Slot& slot : slots_) {
        if (!slot.is_there) continue;
        const ProcessMachine& machine = slot.machine;
        if (slot.was_asked_down || (slot.is_held && is_gate_closed_)) return std::nullopt;
        if (machine.state() == State::fatal && machine.policy().on_fatal == OnFatal::stay)
            return std::nullopt;
        if (machine.state() == State::stopped) continue;
        has_ended = true;
        if (first_failure || !machine.policy().essential || machine.ended_as_expected()) continue;
        first_failure = status_of(machine);
    }
    if (!has_ended) return std::nullopt;
    return first_failure.value_or(0);
}

void Fleet::finish_if_done(Actions& actions) {
    if (is_finished_ || resting_ != there_) return;
    if (!ending_status_) {
        ending_status_ = natural_end();
        if (!ending_status_) return;
    }
    is_finished_ = true;
    actions.orders.emplace_back(Finish{*ending_status_});
}

std::vector<ProgramId> Fleet::put(std::vector<ProgramPlan> plans,
                                  const Moment& moment,
                                  Actions& actions) {
    std::vector<ProgramId> ids;
    for (ProgramPlan& plan : plans) {
        const auto known = program_called(plan.name);
        ids.push_back(known.value_or(ProgramId{program_count()}));
        if (!known) {
            programs_.push_back({std::move(plan), {}, {}, {}, {}});
            continue;
        }
        Program& program = programs_[known->value()];
        for (const auto* processes : {&program.processes, &program.former}) {
            for (const ProcessId process : *processes) {
                Slot& slot = slots_[process.value()];
                slot.machine.policy_changes(*plan.policy, moment);
            }
        }
        program.plan = std::move(plan);
        program.is_leaving = false;
        for (const ProcessId process : program.processes) arm(slots_[process.value()]);
    }
    link();
    for (const ProgramId id : ids) {  // whoever has waited for what is no longer asked for
        if (unmet(id) != nullptr) continue;
        each_slot(id, [&](Slot& slot) {
            if (slot.is_held) start_or_hold(slot, moment, actions);
        });
    }
    return ids;
}

namespace {

// Those of `leave_first`, then the highest, until no more stay than `most`.
void take_leavers(std::vector<ProcessId>& stay,
                  std::uint32_t most,
                  const std::vector<ProcessId>& leave_first,
                  std::vector<ProcessId>& leaving) {
    for (const ProcessId process : leave_first) {
        if (stay.size() <= most) return;
        if (std::erase(stay, process) > 0) leaving.push_back(process);
    }
    while (stay.size() > most) {
        leaving.push_back(stay.back());
        stay.pop_back();
    }
}

}  // namespace

// The process of this index, new or on its way out; nothing where it stays anyway.
std::optional<ProcessId> Fleet::let_in(ProgramId id, std::uint32_t index, bool is_numbered) {
    const auto& processes = programs_[id.value()].processes;
    const auto here = std::find_if(processes.begin(), processes.end(), [&](ProcessId process) {
        const Slot& slot = slots_[process.value()];
        return slot.index == index && slot.is_numbered == is_numbered;
    });
    if (here == processes.end()) return take_in(id, index, is_numbered);
    if (!slots_[here->value()].is_leaving) return std::nullopt;
    slots_[here->value()].is_leaving = false;  // it has not gone yet
    return *here;
}

Fleet::Resized Fleet::resize(ProgramId id,
                             std::uint32_t processes,
                             bool is_numbered,
                             const std::vector<ProcessId>& leave_first,
                             const Moment& moment,
                             Actions& actions) {
    Program& program = programs_[id.value()];
    program.plan.processes = processes;
    program.plan.is_numbered = is_numbered;
    Resized resized;
    std::vector<ProcessId> stay;
    bool is_wanted = program.plan.policy->autostart;
    for (const ProcessId process : program.processes) {
        const Slot& slot = slots_[process.value()];
        if (slot.is_leaving) continue;
        is_wanted = is_wanted && !slot.was_asked_down;
        const bool has_its_name = slot.is_numbered == (is_numbered || slot.index > 0);
        (has_its_name ? stay : resized.leaving).push_back(process);
    }
    is_wanted = is_wanted || std::any_of(stay.begin(), stay.end(), [&](ProcessId process) {
                    return !slots_[process.value()].machine.is_resting();
                });
    take_leavers(stay, processes, leave_first, resized.leaving);
    for (std::uint32_t index = 0; stay.size() + resized.added.size() < processes; ++index) {
        if (const auto added = let_in(id, index, is_numbered || index > 0))
            resized.added.push_back(*added);
    }
    for (const ProcessId process : resized.leaving)
        retire(slots_[process.value()], true, moment, actions);
    if (is_wanted) {
        for (const ProcessId process : resized.added)
            start_anew(slots_[process.value()], moment, actions);
    }
    advance_rolls(moment, actions);
    return resized;
}

void Fleet::start_anew(Slot& slot, const Moment& moment, Actions& actions) {
    if (slot.machine.is_resting()) return start_or_hold(slot, moment, actions);
    slot.was_asked_down = false;
    if (!is_shutting_down()) apply(slot, StartWanted{}, moment, actions);
}

void Fleet::remove(const std::vector<ProgramId>& programs, const Moment& moment, Actions& actions) {
    for (const ProgramId id : programs) programs_[id.value()].is_leaving = true;
    for (const ProgramId id : programs) retire_what_may(id, moment, actions);
    advance_rolls(moment, actions);
}

// Of programs that leave together, those go first that were started after the others.
void Fleet::retire_what_may(ProgramId id, const Moment& moment, Actions& actions) {
    const auto& dependents = programs_[id.value()].dependents;
    if (!std::all_of(dependents.begin(), dependents.end(), [&](ProgramId dependent) {
            return !programs_[dependent.value()].is_leaving || is_down(dependent);
        }))
        return;
    each_slot(id, [&](Slot& slot) { retire(slot, false, moment, actions); });
}

void Fleet::retire(Slot& slot, bool may_finish, const Moment& moment, Actions& actions) {
    if (slot.is_leaving) return;
    slot.is_leaving = true;
    slot.is_held = false;
    if (slot.machine.is_resting()) return gone(slot, moment, actions);
    if (may_finish)
        apply(slot, RetirementWanted{}, moment, actions);
    else
        apply(slot, StopWanted{}, moment, actions);
}

void Fleet::gone(Slot& slot, const Moment& moment, Actions& actions) {
    const ProcessId id = slot.machine.id();
    Program& program = programs_[slot.program.value()];
    slot.is_there = false;
    slot.is_leaving = false;
    --there_;
    --resting_;
    std::erase(program.processes, id);
    program.former.push_back(id);
    actions.orders.emplace_back(Forget{id});
    if (!program.is_leaving) return;
    for (const Edge& edge : program.after) {
        if (programs_[edge.program.value()].is_leaving)
            retire_what_may(edge.program, moment, actions);
    }
}

RollId Fleet::roll(const std::vector<ProcessId>& processes,
                   Renewal why,
                   const Moment& moment,
                   Actions& actions) {
    const RollId id = rolls_.begin(processes, why, *this, actions.rolls);
    advance_rolls(moment, actions);
    return id;
}

void Fleet::advance_rolls(const Moment& moment, Actions& actions) {
    if (rolls_.is_empty()) return;
    rolls_.advance(*this, actions.rolls, [&](ProcessId process, Incarnation who, Renewal why) {
        apply(slots_[process.value()], RenewalWanted{who, why}, moment, actions);
    });
}

}  // namespace muster::core
