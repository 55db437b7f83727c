#include "daemon/roll_waits.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace muster::daemon {

void RollWaits::add(core::RollId roll,
                    const std::vector<ProcessId>& processes,
                    Duration patience,
                    control::VerbDone done) {
    waits_.push_back({roll, loop_.now() + patience, processes, {}, std::move(done)});
    arm();
}

control::VerbOutcome RollWaits::outcome(const core::RollNews& news) const {
    const ProcessParts& parts = parts_[news.process.value()];
    const std::string& program = fleet_.program_name(fleet_.program_of(news.process));
    const std::string state = core::state_name(fleet_.machine(news.process).state());
    const auto told = [&](bool ok, std::string message) {
        return control::VerbOutcome{parts.id, ok, state, std::move(message)};
    };
    switch (news.how) {
        case core::Rolled::replaced:
            return told(true, "replaced");
        case core::Rolled::is_down:
            return told(true, "was not running, and was left so");
        case core::Rolled::was_stopped:
            return told(false, "was stopped by a later request");
        case core::Rolled::taken_over:
            return told(false, "is left to a later rolling restart");
        case core::Rolled::is_bad:
            return told(false,
                        fmt::format("did not become ready: {}; the others were left as they are",
                                    parts.trouble.empty() ? "no reason is known" : parts.trouble));
        case core::Rolled::blocked:
            return told(false,
                        fmt::format("was left as it is: another process of {} is FATAL", program));
        case core::Rolled::not_reached:
            return told(false, "was left as it is: the rolling restart ended before");
    }
    return told(false, "?");
}

// What went wrong is told in the log too: most rolls of a reload have nobody who waits.
void RollWaits::told(const core::RollNews& news) {
    control::VerbOutcome how = outcome(news);
    if (news.how == core::Rolled::is_bad || news.how == core::Rolled::blocked)
        log_.warn("roll-stopped", {{"process", how.process}, {"reason", how.message}});
    const auto wait = std::find_if(waits_.begin(), waits_.end(),
                                   [&](const Wait& each) { return each.roll == news.roll; });
    if (wait == waits_.end()) return;
    wait->outcomes.insert_or_assign(news.process, std::move(how));
    if (news.is_last) answer(wait);
}

void RollWaits::answer(std::list<Wait>::iterator wait) {
    const Wait ended = std::move(*wait);
    waits_.erase(wait);
    arm();
    std::vector<control::VerbOutcome> outcomes;
    for (const ProcessId id : ended.order) {
        const auto known = ended.outcomes.find(id);
        if (known != ended.outcomes.end()) {
            outcomes.push_back(known->second);
            continue;
        }
        outcomes.push_back({parts_[id.value()].id, false,
                            core::state_name(fleet_.machine(id).state()),
                            "not yet; the rolling restart goes on by itself"});
    }
    ended.done(std::move(outcomes));
}

void RollWaits::expire() {
    const TimePoint now = loop_.now();
    const auto late = std::find_if(waits_.begin(), waits_.end(),
                                   [&](const Wait& wait) { return wait.deadline <= now; });
    if (late == waits_.end()) return arm();
    answer(late);  // which arms the timer for the next
}

void RollWaits::give_up_all() {
    while (!waits_.empty()) answer(waits_.begin());
}

void RollWaits::arm() {
    if (waits_.empty()) return timer_.disarm();
    const auto next =
        std::min_element(waits_.begin(), waits_.end(),
                         [](const Wait& a, const Wait& b) { return a.deadline < b.deadline; });
    timer_.arm(next->deadline);
}

}  // namespace muster::daemon
