#include "core/fleet.h"

#include <algorithm>

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

Fleet::Fleet(std::vector<ProgramPlan> plans, Duration release_wait) {
    programs_.reserve(plans.size());
    std::uint32_t total = 0;
    for (ProgramPlan& plan : plans) {
        programs_.push_back({std::move(plan), ProcessId{total}, {}, {}});
        total += programs_.back().plan.processes;
    }
    slots_.reserve(total);
    for (std::uint32_t p = 0; p < programs_.size(); ++p) {
        Program& program = programs_[p];
        for (std::uint32_t i = 0; i < program.plan.processes; ++i) {
            slots_.push_back({ProcessMachine{ProcessId{program.first.value() + i},
                                             program.plan.policy, release_wait},
                              ProgramId{p},
                              {}});
        }
        for (const Dependency& dependency : program.plan.after) {
            const auto other =
                std::find_if(programs_.begin(), programs_.end(),
                             [&](const Program& q) { return q.plan.name == dependency.program; });
            if (other == programs_.end()) continue;
            program.after.push_back(
                {ProgramId{static_cast<std::uint32_t>(other - programs_.begin())},
                 dependency.condition});
            other->dependents.push_back(ProgramId{p});
        }
    }
    resting_ = total;
}

template <class F>
void Fleet::each_slot(ProgramId id, F&& f) {
    const Program& program = programs_[id.value()];
    for (std::uint32_t i = 0; i < program.plan.processes; ++i) f(slots_[program.first.value() + i]);
}

void Fleet::start_all(const Moment& moment, Actions& actions) {
    for (Slot& slot : slots_) {
        if (slot.machine.policy().autostart) start_or_hold(slot, moment, actions);
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
    if (std::holds_alternative<StartWanted>(event.what) ||
        std::holds_alternative<RestartWanted>(event.what)) {
        if (slot.machine.is_resting()) return start_or_hold(slot, moment, actions);
        if (is_shutting_down()) return;
    }
    if (std::holds_alternative<StopWanted>(event.what)) {
        slot.is_held = false;
        slot.was_asked_down = true;
    }
    apply(slot, event.what, moment, actions);
    if (slot.was_asked_down) finish_if_done(actions);
}

void Fleet::apply(Slot& slot, const ProcessEvent& event, const Moment& moment, Actions& actions) {
    const std::size_t told = actions.transitions.size();
    slot.machine.handle(event, moment, actions);
    after_change(slot, told, moment, actions);
}

// Everything that follows from a change of one process: its deadline, those who waited for it, and
// the end.
void Fleet::after_change(Slot& slot, std::size_t told, const Moment& moment, Actions& actions) {
    const auto index = static_cast<std::uint32_t>(&slot - slots_.data());
    const auto due = slot.machine.deadline();
    if (due != slot.armed) {
        if (slot.armed) deadlines_.erase({*slot.armed, index});
        if (due) deadlines_.emplace(*due, index);
        slot.armed = due;
    }
    const bool rests = slot.machine.is_resting();
    const bool came_to_rest = rests && !slot.is_resting;
    if (rests != slot.is_resting) {
        slot.is_resting = rests;
        rests ? ++resting_ : --resting_;
    }
    if (actions.transitions.size() == told && !came_to_rest) return;
    if (!programs_[slot.program.value()].dependents.empty())
        release_dependents(slot.program, moment, actions);
    if (is_shutting_down() && slot.machine.state() == State::backoff) {
        return apply(slot, StopWanted{}, moment, actions);  // nothing is started any more
    }
    if (slot.machine.state() == State::fatal) judge_fatal(slot, moment, actions);
    if (!came_to_rest) return;
    if (is_shutting_down()) {
        for (const Edge& edge : programs_[slot.program.value()].after)
            stop_what_may(edge.program, moment, actions);
    }
    finish_if_done(actions);
}

bool Fleet::holds(const Edge& edge) const {
    const Program& program = programs_[edge.program.value()];
    for (std::uint32_t i = 0; i < program.plan.processes; ++i) {
        const ProcessMachine& machine = slots_[program.first.value() + i].machine;
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
        after_change(slot, told, moment, actions);
    }
}

std::optional<TimePoint> Fleet::next_deadline() const {
    if (deadlines_.empty()) return std::nullopt;
    return deadlines_.begin()->first;
}

void Fleet::shut_down(int status, const Moment& moment, Actions& actions) {
    if (is_shutting_down()) return;
    ending_status_ = status;
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
    finish_if_done(actions);
}

bool Fleet::is_down(ProgramId id) const {
    const Program& program = programs_[id.value()];
    for (std::uint32_t i = 0; i < program.plan.processes; ++i) {
        if (!slots_[program.first.value() + i].machine.is_resting()) return false;
    }
    return true;
}

// A program is stopped when nobody who was started after it is still there.
void Fleet::stop_what_may(ProgramId id, const Moment& moment, Actions& actions) {
    const auto& dependents = programs_[id.value()].dependents;
    if (!std::all_of(dependents.begin(), dependents.end(), [&](ProgramId d) { return is_down(d); }))
        return;
    each_slot(id, [&](Slot& slot) {
        const State state = slot.machine.state();
        if (state == State::stopped || state == State::exited || state == State::fatal) return;
        apply(slot, StopWanted{}, moment, actions);
    });
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
        const auto due = slot.machine.deadline();
        const auto index = static_cast<std::uint32_t>(&slot - slots_.data());
        if (slot.armed) deadlines_.erase({*slot.armed, index});
        if (due) deadlines_.emplace(*due, index);
        slot.armed = due;
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
        return !other.machine.policy().essential || other.machine.state() == State::fatal;
    });
    if (all_are_fatal) shut_down(1, moment, actions);
}

// Nothing is left to run: the status to end with, or nothing where an operator may still want
// something.
std::optional<int> Fleet::natural_end() const {
    bool has_ended = false;
    std::optional<int> first_failure;
    for (const Slot& slot : slots_) {
        const ProcessMachine& machine = slot.machine;
        if (slot.was_asked_down || (slot.is_held && is_gate_closed_)) return std::nullopt;
        if (machine.state() == State::fatal && machine.policy().on_fatal == OnFatal::stay)
            return std::nullopt;
        if (machine.state() == State::stopped) continue;
        has_ended = true;
        if (first_failure || !machine.policy().essential || machine.ended_as_expected()) continue;
        const Exit exit = machine.last_exit().value_or(Exit{false, 1});
        first_failure = machine.state() == State::fatal ? 1
                        : exit.by_signal                ? 128 + exit.number
                                                        : exit.number;
    }
    if (!has_ended) return std::nullopt;
    return first_failure.value_or(0);
}

void Fleet::finish_if_done(Actions& actions) {
    if (is_finished_ || resting_ != slots_.size()) return;
    if (!ending_status_) {
        ending_status_ = natural_end();
        if (!ending_status_) return;
    }
    is_finished_ = true;
    actions.orders.emplace_back(Finish{*ending_status_});
}

}  // namespace muster::core
