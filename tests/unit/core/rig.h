#pragma once
// A fleet on a fake clock: what it orders is noted, and carried out only as the test says.

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/fleet.h"

namespace muster::core {

inline Policy worker_policy() {
    Policy policy;
    policy.ready_after = std::nullopt;
    policy.has_registry = true;
    policy.stop = {{SignalNumber{15}, std::chrono::seconds{25}}, {SignalNumber{9}, Duration{}}};
    return policy;
}

class Rig {
public:
    explicit Rig(std::vector<ProgramPlan> programs)
        : fleet(std::move(programs), std::chrono::seconds{1}) {}
    explicit Rig(Policy policy)
        : Rig(std::vector<ProgramPlan>{{"shap", std::move(policy), {}, 1}}) {}

    Fleet fleet;
    Moment moment{TimePoint{} + std::chrono::hours{1}};
    std::vector<Order> orders;            // since the last clear
    std::vector<Transition> transitions;  // all
    std::vector<RollNews> rolls;          // all

    void start() {
        Actions actions;
        fleet.start_all(moment, actions);
        take(actions);
    }
    void post(ProcessEvent what, std::uint32_t process = 0) {
        Actions actions;
        fleet.handle({ProcessId{process}, std::move(what)}, moment, actions);
        take(actions);
    }
    void pass(Duration time) {  // moves the clock, stopping at each deadline on the way
        const TimePoint end = moment.now + time;
        for (auto due = fleet.next_deadline(); due && *due <= end; due = fleet.next_deadline()) {
            moment.now = std::max(moment.now, *due);
            Actions actions;
            fleet.fire_deadlines(moment, actions);
            take(actions);
        }
        moment.now = end;
    }
    RollId roll(const std::vector<std::uint32_t>& processes) {
        std::vector<ProcessId> ids;
        for (const std::uint32_t process : processes) ids.emplace_back(process);
        Actions actions;
        const RollId id = fleet.roll(ids, Renewal::rolled, moment, actions);
        take(actions);
        return id;
    }
    Fleet::Resized resize(std::uint32_t program,
                          std::uint32_t processes,
                          const std::vector<ProcessId>& leave_first = {},
                          bool is_numbered = true) {
        Actions actions;
        auto resized =
            fleet.resize(ProgramId{program}, processes, is_numbered, leave_first, moment, actions);
        take(actions);
        return resized;
    }
    void put(ProgramPlan plan) {
        Actions actions;
        fleet.put({std::move(plan)}, moment, actions);
        take(actions);
    }
    void remove(const std::vector<ProgramId>& programs) {
        Actions actions;
        fleet.remove(programs, moment, actions);
        take(actions);
    }
    void shut_down() {
        Actions actions;
        fleet.shut_down(0, moment, actions);
        take(actions);
    }

    Incarnation who(std::uint32_t process = 0) const {
        return fleet.machine(ProcessId{process}).incarnation();
    }
    State state(std::uint32_t process = 0) const {
        return fleet.machine(ProcessId{process}).state();
    }
    void spawned(std::uint32_t process = 0) { post(Spawned{who(process)}, process); }
    void ready(std::uint32_t process = 0) { post(BecameReady{who(process)}, process); }
    void up(std::uint32_t process = 0) {
        spawned(process);
        ready(process);
    }
    void dies(Exit how, std::uint32_t process = 0) {
        post(ChildExited{who(process), how}, process);
    }
    void family_ends(std::uint32_t process = 0) { post(FamilyEnded{who(process), false}, process); }
    void name_released(std::uint32_t process = 0) { post(NameReleased{who(process)}, process); }
    void gone(Exit how, std::uint32_t process = 0) {
        dies(how, process);
        family_ends(process);
        if (fleet.machine(ProcessId{process}).policy().has_registry) name_released(process);
    }

    template <class T>
    std::size_t count() const {
        return static_cast<std::size_t>(
            std::count_if(orders.begin(), orders.end(),
                          [](const Order& o) { return std::holds_alternative<T>(o); }));
    }
    // Of each process that a rolling restart has told of, in its order: "0 replaced".
    std::vector<std::string> rolled(RollId id) const {
        static constexpr const char* words[] = {"replaced", "is-down", "was-stopped", "taken-over",
                                                "is-bad",   "blocked", "not-reached"};
        std::vector<std::string> all;
        for (const RollNews& news : rolls) {
            if (news.roll != id) continue;
            all.push_back(std::to_string(news.process.value()) + " " +
                          words[static_cast<std::size_t>(news.how)] + (news.is_last ? "." : ""));
        }
        return all;
    }
    std::optional<int> finished() const {
        for (const Order& order : orders) {
            if (const auto* finish = std::get_if<Finish>(&order)) return finish->status;
        }
        return std::nullopt;
    }

private:
    void take(Actions& actions) {
        orders.insert(orders.end(), actions.orders.begin(), actions.orders.end());
        transitions.insert(transitions.end(), actions.transitions.begin(),
                           actions.transitions.end());
        rolls.insert(rolls.end(), actions.rolls.begin(), actions.rolls.end());
    }
};

}  // namespace muster::core
