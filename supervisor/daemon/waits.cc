#include "daemon/waits.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace muster::daemon {

void Waits::add(control::Verb verb,
                const std::vector<ProcessId>& processes,
                Duration patience,
                control::VerbDone done,
                bool begun) {
    Wait wait{verb, loop_.now() + patience, processes, {}, {}, std::move(done)};
    for (const ProcessId id : processes) {
        const core::ProcessMachine& machine = fleet_.machine(id);
        const bool has_begun = begun && machine.state() == core::State::starting;
        const std::uint32_t before = machine.incarnation().value() - (has_begun ? 1 : 0);
        wait.pending.emplace(id, Incarnation{before});
    }
    waits_.push_back(std::move(wait));
    arm();
}

std::optional<control::VerbOutcome> Waits::judge(control::Verb verb,
                                                 ProcessId id,
                                                 Incarnation before) const {
    const core::ProcessMachine& machine = fleet_.machine(id);
    const ProcessParts& parts = parts_[id.value()];
    const std::string state = core::state_name(machine.state());
    if (verb == control::Verb::stop) {
        if (!machine.is_resting()) return std::nullopt;
        return control::VerbOutcome{parts.id, true, state, "stopped"};
    }
    if (!fleet_.is_there(id) || fleet_.is_leaving(id))
        return control::VerbOutcome{parts.id, false, state,
                                    "is no longer wanted: scaled or removed"};
    const bool is_new_life = machine.incarnation() != before;
    const bool counts = verb == control::Verb::start || is_new_life;
    switch (machine.state()) {
        case core::State::running:
            if (!counts) return std::nullopt;
            return control::VerbOutcome{parts.id, true, state,
                                        is_new_life ? "started" : "already running"};
        case core::State::exited:
            if (!is_new_life) return std::nullopt;
            if (machine.ended_as_expected())
                return control::VerbOutcome{parts.id, true, state, "ran to its end"};
            return control::VerbOutcome{parts.id, false, state, parts.trouble};
        case core::State::backoff:
        case core::State::fatal:
            if (!is_new_life) return std::nullopt;
            return control::VerbOutcome{parts.id, false, state, parts.trouble};
        case core::State::stopped:
        case core::State::starting:
        case core::State::stopping:
            return std::nullopt;
    }
    return std::nullopt;
}

void Waits::settle(Wait& wait, ProcessId id) {
    const auto pending = wait.pending.find(id);
    if (pending == wait.pending.end()) return;
    auto outcome = judge(wait.verb, id, pending->second);
    if (!outcome) return;
    wait.outcomes.emplace(id, std::move(*outcome));
    wait.pending.erase(pending);
}

void Waits::shown(const core::Transition& transition) {
    if (waits_.empty()) return;
    for (Wait& wait : waits_) settle(wait, transition.process);
    answer_complete();
}

void Waits::recheck() {
    for (Wait& wait : waits_) {
        for (const ProcessId id : wait.order) settle(wait, id);
    }
    answer_complete();
}

void Waits::answer_complete() {
    for (auto wait = waits_.begin(); wait != waits_.end();) {
        if (!wait->pending.empty()) {
            ++wait;
            continue;
        }
        const Wait ready = std::move(*wait);
        wait = waits_.erase(wait);
        std::vector<control::VerbOutcome> outcomes;
        for (const ProcessId id : ready.order) outcomes.push_back(ready.outcomes.at(id));
        ready.done(std::move(outcomes));
    }
    arm();
}

void Waits::expire() {
    const TimePoint now = loop_.now();
    for (Wait& wait : waits_) {
        if (wait.deadline > now) continue;
        for (const auto& [id, before] : std::exchange(wait.pending, {})) {
            const std::string held = fleet_.held_by(id);
            const std::string state = core::state_name(fleet_.machine(id).state());
            wait.outcomes.emplace(
                id, control::VerbOutcome{
                        parts_[id.value()].id, false, state,
                        held.empty() ? "still " + state + "; it goes on by itself" : held});
        }
    }
    answer_complete();
}

void Waits::give_up_all() {
    for (Wait& wait : waits_) wait.deadline = loop_.now();
    expire();
}

void Waits::arm() {
    if (waits_.empty()) return timer_.disarm();
    const auto next =
        std::min_element(waits_.begin(), waits_.end(),
                         [](const Wait& a, const Wait& b) { return a.deadline < b.deadline; });
    timer_.arm(next->deadline);
}

}  // namespace muster::daemon
