#pragma once
// A fleet's history, made of choices, and what must hold after each step of it. The world answers
// orders late, in any order, or with failures, but never invents a death. sequence_test.cc chooses
// by a seeded generator, tests/fuzz/core_fuzz.cc by the fuzzer's bytes.

#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "rig.h"

namespace muster::core {

class History {
public:
    using Pick = std::function<std::uint32_t(std::uint32_t)>;  // one of 0 … n-1
    using Claim = std::function<void(bool is_so, const char* what)>;

    History(std::vector<ProgramPlan> plans, Pick pick, Claim claim)
        : rig_(plans), plans_(std::move(plans)), pick_(std::move(pick)), claim_(std::move(claim)) {}

    void start() {
        rig_.start();
        obey();
    }

    [[nodiscard]] bool is_over() const { return status_.has_value(); }

    // Whatever may come next: a wish, time, the world's news.
    void step() {
        if (status_) return;
        const std::uint32_t process = pick_(rig_.fleet.size());
        switch (pick_(14)) {
            case 0:
                unwanted_[process] = false;
                rig_.post(StartWanted{}, process);
                break;
            case 1:
                unwanted_[process] = true;
                rig_.post(StopWanted{}, process);
                break;
            case 2:
                unwanted_[process] = false;
                rig_.post(RestartWanted{}, process);
                break;
            case 3:
                rig_.pass(Duration{pick_(40'000'000) * 1000LL});
                break;
            case 4:
                rig_.pass(std::chrono::milliseconds{500});
                if (pick_(4) == 0) rig_.post(Unhealthy{rig_.who(process)}, process);
                break;
            case 5:
                rig_.moment.redis_is_away = pick_(2) == 0;
                if (!rig_.moment.redis_is_away) rig_.fleet.redis_is_back(rig_.moment);
                break;
            case 6:
                operate();
                break;
            default:
                news();
        }
        rig_.moment.dice = pick_(1000) / 1000.0;
        obey();
    }

    // Shuts down and waits for the end: the status, or nothing where it never comes.
    std::optional<int> end() {
        is_shutting_down_ = true;
        rig_.shut_down();
        obey();
        for (int i = 0; i < 5000 && !status_; ++i) {
            news();
            if (i % 10 == 0) rig_.pass(std::chrono::seconds{1});
            obey();
        }
        for (const auto& [whose, life] : lives_) {
            claim_(life != Life::ordered && life != Life::alive && life != Life::dead,
                   "I3: nothing is left alive at the end");
            claim_(life != Life::ended || !has_registry_[whose],
                   "every name is released at the end");
        }
        for (const auto& [roll, processes] : rolls_) {
            std::size_t told = 0;
            std::size_t ends = 0;
            for (const RollNews& news : rig_.rolls) {
                told += news.roll == roll ? 1 : 0;
                ends += news.roll == roll && news.is_last ? 1 : 0;
            }
            claim_(told == processes, "a roll tells of each of its processes once");
            claim_(ends == 1, "a roll tells of its end once");
        }
        return status_;
    }

private:
    // One incarnation, as the world sees it. Of a claimed one nothing lives yet; `over` has a name
    // that was released, was never had, or is left to those who still live (orphans = "leave").
    enum class Life : std::uint8_t { claiming, claimed, ordered, alive, dead, ended, over };
    using Key = std::pair<std::uint32_t, std::uint32_t>;  // process, incarnation

    // What an operator does to the fleet itself: scale, remove, reload, roll.
    void operate() {
        const ProgramId program{pick_(static_cast<std::uint32_t>(plans_.size()))};
        switch (pick_(6)) {
            case 0:
            case 1:
                if (!rig_.fleet.is_there(program)) return;
                rig_.resize(program.value(), 1 + pick_(4), some_processes(), pick_(4) != 0);
                return wanted_again();
            case 2:
                return rig_.remove({program});
            case 3: {
                ProgramPlan next = plans_[program.value()];
                Policy policy = *next.policy;
                if (pick_(2) == 0)
                    policy.stop.insert(policy.stop.begin(),
                                       {SignalNumber{2}, std::chrono::seconds{3}});
                if (pick_(2) == 0) policy.has_registry = !policy.has_registry;
                policy.claims_name = policy.claims_name && policy.has_registry;
                if (pick_(2) == 0) policy.max_age = std::chrono::seconds{60};
                if (pick_(2) == 0) policy.drain = std::chrono::seconds{40};
                next.policy = std::move(policy);
                has_reloaded_ = true;
                const std::uint32_t processes = next.processes;
                rig_.put(std::move(next));
                rig_.resize(program.value(), processes);
                return wanted_again();
            }
            default: {
                const std::vector<ProcessId> some = some_processes();
                if (some.empty()) return;
                std::vector<std::uint32_t> numbers;
                for (const ProcessId process : some) numbers.push_back(process.value());
                rolls_[rig_.roll(numbers)] = numbers.size();
            }
        }
    }
    std::vector<ProcessId> some_processes() {
        std::vector<ProcessId> some;
        for (std::uint32_t i = 0; i < rig_.fleet.size(); ++i) {
            if (rig_.fleet.is_there(ProcessId{i}) && pick_(4) != 0) some.emplace_back(i);
        }
        return some;
    }
    void wanted_again() {
        for (auto& [process, is_unwanted] : unwanted_)
            is_unwanted = is_unwanted && rig_.fleet.was_asked_down(ProcessId{process});
    }

    // A rolling restart takes nobody down while another of its program is not up.
    void watch() {
        for (; watched_ < rig_.transitions.size(); ++watched_) {
            const Transition& t = rig_.transitions[watched_];
            states_[t.process] = t.to;
            if (t.cause != Cause::rolled || t.from != State::running) continue;
            for (const ProcessId other :
                 rig_.fleet.processes_of(rig_.fleet.program_of(t.process))) {
                const auto state = states_.find(other);
                if (other == t.process || state == states_.end() || rig_.fleet.is_leaving(other) ||
                    rig_.fleet.was_asked_down(other))
                    continue;
                claim_(state->second != State::starting && state->second != State::backoff &&
                           state->second != State::fatal,
                       "a roll leaves the others of its program up");
            }
        }
    }

    void obey() {
        for (const Order& order : std::exchange(rig_.orders, {})) {
            claim_(!status_, "after the end nothing is ordered");
            std::visit([this](const auto& what) { carry_out(what); }, order);
        }
        is_shutting_down_ = rig_.fleet.is_shutting_down();  // also by on_fatal
        watch();
    }
    void carry_out(const ClaimName& claim) {
        begins(claim.process, claim.who);
        lives_[key(claim)] = Life::claiming;
        has_registry_.emplace(key(claim), true);
    }
    void carry_out(const Spawn& spawn) {
        const bool claims = rig_.fleet.machine(spawn.process).policy().claims_name;
        if (lives_.contains(key(spawn)) || (claims && !has_reloaded_))
            claim_(life(spawn) == Life::claimed, "a spawn follows the claim of its name");
        else
            begins(spawn.process, spawn.who);
        claim_(!is_shutting_down_, "no spawn during the shutdown");
        claim_(!unwanted_[spawn.process.value()], "no spawn of what was asked to stop");
        claim_(rig_.fleet.is_there(spawn.process), "no spawn of what is not there");
        has_registry_.emplace(key(spawn), rig_.fleet.machine(spawn.process).policy().has_registry);
        lives_[key(spawn)] = Life::ordered;
    }
    void carry_out(const SendSignal& send) {
        claim_(life(send) == Life::ordered || life(send) == Life::alive,
               "a signal goes to a child that lives");
    }
    void carry_out(const EndFamily& end) {
        Life& its = life(end);
        claim_(its == Life::dead || its == Life::claiming || its == Life::claimed,
               "a family is ended after its first member");
        its = Life::dead;
    }
    void carry_out(const ReleaseName& release) {
        claim_(life(release) == Life::ended,
               "I6: a name is released once, and not before its family has ended");
        life(release) = Life::over;
    }
    void carry_out(const Forget& forget) {
        for (const auto& [whose, its] : lives_) {
            if (whose.first != forget.process.value()) continue;
            claim_(its != Life::ordered && its != Life::alive && its != Life::dead,
                   "I3: nothing is left alive of what has left");
        }
    }
    void carry_out(const Finish& finish) { status_ = finish.status; }

    void begins(ProcessId process, Incarnation who) {
        for (const auto& [whose, its] : lives_) {
            if (whose.first != process.value()) continue;
            claim_(its != Life::ordered && its != Life::alive && its != Life::dead,
                   "I1: the last life is over, family and all");
            claim_(whose.second < who.value(), "I7: an incarnation is new");
        }
    }

    template <class T>
    static Key key(const T& order) {
        return {order.process.value(), order.who.value()};
    }
    template <class T>
    Life& life(const T& order) {
        const auto found = lives_.find(key(order));
        claim_(found != lives_.end(), "an order is about a life that began");
        return found != lives_.end() ? found->second : lives_[key(order)];
    }

    void news() {
        if (lives_.empty()) return;
        const auto at = std::next(lives_.begin(), pick_(static_cast<std::uint32_t>(lives_.size())));
        const std::uint32_t process = at->first.first;
        const Incarnation who{at->first.second};
        Life& its = at->second;
        switch (its) {
            case Life::claiming:
                its = pick_(4) == 0 ? Life::over : Life::claimed;
                if (its == Life::over) return rig_.post(ClaimRefused{who}, process);
                return rig_.post(NameClaimed{who}, process);
            case Life::ordered:
                its = pick_(4) == 0 ? Life::over : Life::alive;
                if (its == Life::over) return rig_.post(SpawnFailed{who, pick_(2) == 0}, process);
                return rig_.post(Spawned{who}, process);
            case Life::alive:
                if (pick_(2) == 0) return rig_.post(BecameReady{who}, process);
                its = Life::dead;
                return rig_.post(
                    ChildExited{who, pick_(2) == 0 ? Exit{true, 9}
                                                   : Exit{false, static_cast<int>(pick_(2))}},
                    process);
            case Life::dead: {
                const auto& policy = rig_.fleet.machine(ProcessId{process}).policy();
                const bool is_left = policy.orphans == Orphans::leave && pick_(2) == 0;
                its = is_left ? Life::over : Life::ended;
                return rig_.post(FamilyEnded{who, is_left}, process);
            }
            case Life::claimed:
            case Life::ended:
            case Life::over:
                return rig_.post(NameReleased{who}, process);
        }
    }

    Rig rig_;
    std::vector<ProgramPlan> plans_;
    Pick pick_;
    Claim claim_;
    std::map<Key, Life> lives_;
    std::map<std::uint32_t, bool> unwanted_;  // asked to stop, and nothing else since
    std::map<Key, bool> has_registry_;        // as it was when they began
    bool has_reloaded_ = false;
    std::map<ProcessId, State> states_;
    std::size_t watched_ = 0;              // of the rig's transitions
    std::map<RollId, std::size_t> rolls_;  // and how many processes each is of
    bool is_shutting_down_ = false;        // since before the orders that are being carried out
    std::optional<int> status_;
};

}  // namespace muster::core
