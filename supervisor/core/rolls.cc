#include "core/rolls.h"

#include <algorithm>
#include <utility>

#include "core/fleet.h"

namespace muster::core {

namespace {

// Of the one that is being replaced: how it came out, once that is known.
std::optional<Rolled> judge(const Fleet& fleet, ProcessId process, Incarnation before) {
    if (fleet.is_shutting_down() || !fleet.is_there(process) || fleet.is_leaving(process) ||
        fleet.was_asked_down(process))
        return Rolled::was_stopped;
    const ProcessMachine& machine = fleet.machine(process);
    if (machine.incarnation() == before) return std::nullopt;
    switch (machine.state()) {
        case State::running:
            return Rolled::replaced;
        case State::exited:
            return machine.ended_as_expected() ? Rolled::replaced : Rolled::is_bad;
        case State::fatal:
            return Rolled::is_bad;
        case State::backoff:
        case State::stopping:
            if (machine.fails_to_start()) return Rolled::is_bad;
            return std::nullopt;
        case State::stopped:
        case State::starting:
            return std::nullopt;
    }
    return std::nullopt;
}

// Of the next one: why nothing is done about it.
std::optional<Rolled> spared(const Fleet& fleet, ProcessId process, Incarnation before) {
    if (!fleet.is_there(process) || fleet.is_leaving(process)) return Rolled::was_stopped;
    const ProcessMachine& machine = fleet.machine(process);
    const State state = machine.state();
    if (fleet.was_asked_down(process) || state == State::stopped || state == State::exited)
        return Rolled::is_down;
    if (state == State::running && machine.incarnation() != before) return Rolled::replaced;
    return std::nullopt;
}

enum class Siblings : std::uint8_t { ready, on_the_way, down_for_good };

Siblings siblings_of(const Fleet& fleet, ProcessId process) {
    bool is_somebody_missing = false;
    for (const ProcessId other : fleet.processes_of(fleet.program_of(process))) {
        if (other == process || fleet.is_leaving(other) || fleet.was_asked_down(other)) continue;
        switch (fleet.machine(other).state()) {
            case State::running:
            case State::stopped:
            case State::exited:
                break;
            case State::fatal:
                return Siblings::down_for_good;
            case State::starting:
            case State::backoff:
            case State::stopping:
                is_somebody_missing = true;
        }
    }
    return is_somebody_missing ? Siblings::on_the_way : Siblings::ready;
}

}  // namespace

RollId Rolls::begin(const std::vector<ProcessId>& processes,
                    Renewal why,
                    const Fleet& fleet,
                    News& news) {
    for (Roll& other : rolls_) {
        std::erase_if(other.ahead, [&](const Item& item) {
            if (std::find(processes.begin(), processes.end(), item.process) == processes.end())
                return false;
            news.push_back({other.id, item.process, Rolled::taken_over, false});
            return true;
        });
    }
    Roll roll{RollId{next_id_++}, why, {}, {}};
    for (const ProcessId process : processes)
        roll.ahead.push_back({process, fleet.machine(process).incarnation()});
    // What is not ready anyway costs nobody: it goes first, and shows at once what is bad.
    std::stable_partition(roll.ahead.begin(), roll.ahead.end(), [&](const Item& item) {
        return fleet.machine(item.process).state() != State::running;
    });
    rolls_.push_back(std::move(roll));
    return rolls_.back().id;
}

void Rolls::recycle(ProcessId process, Incarnation who, Renewal why) {
    rolls_.push_back({RollId{next_id_++}, why, {{process, who}}, {}});
}

// What one of them does may end the fleet, and with it all of them: then once more from the first.
void Rolls::advance(const Fleet& fleet, News& news, const Renew& renew) {
    wants_advance_ = true;
    if (is_advancing_) return;
    is_advancing_ = true;
    while (std::exchange(wants_advance_, false)) advance_each(fleet, news, renew);
    is_advancing_ = false;
}

void Rolls::advance_each(const Fleet& fleet, News& news, const Renew& renew) {
    for (auto roll = rolls_.begin(); roll != rolls_.end();) {
        if (!advance(*roll, fleet, news, renew)) {
            ++roll;
            continue;
        }
        // Its last piece of news says so. (Another roll may have taken over its rest.)
        const auto last = std::find_if(news.rbegin(), news.rend(),
                                       [&](const RollNews& each) { return each.roll == roll->id; });
        if (last != news.rend()) last->is_last = true;
        roll = rolls_.erase(roll);
    }
}

// As far as it goes now; whether it is over.
bool Rolls::advance(Roll& roll, const Fleet& fleet, News& news, const Renew& renew) {
    const auto tell = [&](ProcessId process, Rolled how) {
        news.push_back({roll.id, process, how, false});
    };
    const auto end = [&](Rolled how) {
        for (const Item& item : roll.ahead) tell(item.process, how);
        roll.ahead.clear();
        return true;
    };
    for (;;) {
        if (roll.current) {
            const ProcessId current = roll.current->process;
            const auto how = judge(fleet, current, roll.current->before);
            if (!how) return false;
            tell(current, *how);
            roll.current.reset();
            if (*how == Rolled::is_bad) return end(Rolled::not_reached);
        }
        if (fleet.is_shutting_down()) return end(Rolled::not_reached);
        if (roll.ahead.empty()) return true;
        const Item next = roll.ahead.front();
        if (const auto how = spared(fleet, next.process, next.before)) {
            roll.ahead.pop_front();
            tell(next.process, *how);
            continue;
        }
        switch (siblings_of(fleet, next.process)) {
            case Siblings::on_the_way:
                return false;
            case Siblings::down_for_good:
                roll.ahead.pop_front();
                tell(next.process, Rolled::blocked);
                return end(Rolled::not_reached);
            case Siblings::ready:
                break;
        }
        roll.ahead.pop_front();
        roll.current = next;
        renew(next.process, fleet.machine(next.process).incarnation(), roll.why);
    }
}

}  // namespace muster::core
