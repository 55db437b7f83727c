// How many processes a program has, how they are replaced one by one, and whether they take jobs:
// scale, roll, quiet.

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/text.h"
#include "daemon/gathered.h"
#include "daemon/supervisor.h"

namespace muster::daemon {

namespace {

constexpr std::uint32_t most_processes = 10'000;

}  // namespace

control::ApiError shutting_down() {
    return {409, "shutting_down", "the supervisor is shutting down and starts nothing", ""};
}

std::optional<control::ApiError> Supervisor::scale(const std::string& program,
                                                   std::uint32_t processes,
                                                   bool wait,
                                                   const control::VerbDone& done) {
    const auto id = fleet_.program_called(program);
    if (!id || !fleet_.is_there(*id))
        return control::ApiError{404, "no_such_process",
                                 fmt::format("no program is called '{}'", program),
                                 "a program is scaled, not a process or a group"};
    if (processes < 1 || processes > most_processes)
        return control::ApiError{
            400, "bad_parameter",
            fmt::format("{} is not a number of processes from 1 to {}", processes, most_processes),
            "to have none running: stop it"};
    if (const auto& rule = programs_.settings(*id).autoscale)
        return control::ApiError{
            409, "autoscaled",
            fmt::format("{} scales itself, between {} and {}: its next look would undo it", program,
                        rule->min, rule->max),
            "change min or max of its autoscale in the file, and reload"};
    if (stage_ != Stage::running) return shutting_down();
    resize(*id, processes, fleet_.plan(*id).is_numbered, wait, done);
    return std::nullopt;
}

void Supervisor::resize(ProgramId id,
                        std::uint32_t processes,
                        bool is_numbered,
                        bool wait,
                        const control::VerbDone& done) {
    const std::uint32_t serial = ++resizes_[id];
    if (processes >= fleet_.staying(id))
        return resize_now(id, processes, is_numbered, {}, wait, done);
    choose_leavers(id, [this, id, processes, is_numbered, wait, done,
                        serial](const std::vector<ProcessId>& leave_first) {
        if (resizes_[id] == serial && fleet_.is_there(id) && stage_ == Stage::running)
            return resize_now(id, processes, is_numbered, leave_first, wait, done);
        done({{fleet_.program_name(id), false, "", "a later request has taken its place"}});
    });
}

// Those that do nothing anyway, then the idle ones, then those of whom nobody knows, then the busy
// ones; the highest first.
void Supervisor::choose_leavers(ProgramId id,
                                const std::function<void(std::vector<ProcessId>)>& chosen) {
    using Work = registry::System::Work;
    std::vector<ProcessId> processes = fleet_.processes_of(id);
    std::erase_if(processes, [&](ProcessId process) { return fleet_.is_leaving(process); });
    std::reverse(processes.begin(), processes.end());
    ask_work(id, processes,
             [this, processes, chosen](const std::vector<ProcessId>& asked,
                                       const Result<std::vector<Work>>& answer) {
                 std::vector<ProcessId> ranked = processes;
                 const auto rank = [&](ProcessId process) {
                     if (fleet_.machine(process).state() != core::State::running) return 0;
                     const auto place =
                         std::find(asked.begin(), asked.end(), process) - asked.begin();
                     if (!answer || static_cast<std::size_t>(place) >= answer->size()) return 2;
                     switch ((*answer)[static_cast<std::size_t>(place)]) {
                         case Work::idle:
                             return 1;
                         case Work::unknown:
                             return 2;
                         case Work::busy:
                             return 3;
                     }
                     return 2;
                 };
                 std::stable_sort(ranked.begin(), ranked.end(),
                                  [&](ProcessId a, ProcessId b) { return rank(a) < rank(b); });
                 chosen(std::move(ranked));
             });
}

// Those of them that can be asked, and what each of these is doing.
void Supervisor::ask_work(
    ProgramId id,
    const std::vector<ProcessId>& processes,
    std::function<void(const std::vector<ProcessId>& asked,
                       const Result<std::vector<registry::System::Work>>&)> done) {
    std::vector<ProcessId> asked;
    std::vector<std::string> names;
    const config::RegistryKind kind = programs_.settings(id).registry;
    for (const ProcessId process : processes) {
        const ProcessParts& parts = parts_[process.value()];
        if (!parts.child || !parts.registration || lives_.life_of(process).registry != kind)
            continue;
        asked.push_back(process);
        names.push_back(parts.registration->name);
    }
    if (!registrar_ || names.empty()) return done({}, std::vector<registry::System::Work>{});
    registrar_->work(
        kind, std::move(names),
        [asked = std::move(asked), done = std::move(done)](
            const Result<std::vector<registry::System::Work>>& work) { done(asked, work); });
}

void Supervisor::resize_now(ProgramId id,
                            std::uint32_t processes,
                            bool is_numbered,
                            const std::vector<ProcessId>& leave_first,
                            bool wait,
                            const control::VerbDone& done) {
    ++resizes_[id];
    const std::uint32_t before = fleet_.staying(id);
    const core::Fleet::Resized resized =
        fleet_.resize(id, processes, is_numbered, leave_first, moment(), actions_);
    make_parts();
    if (before != processes && before > 0)
        log_.info("scaled", {{"program", fleet_.program_name(id)},
                             {"from", std::to_string(before)},
                             {"to", std::to_string(processes)}});
    std::vector<ProcessId> touched = resized.added;
    touched.insert(touched.end(), resized.leaving.begin(), resized.leaving.end());
    if (!wait) {
        drain();
        return done(states(touched));
    }
    auto all = std::make_shared<Gathered>(done);
    std::vector<ProcessId> starting;
    std::vector<ProcessId> down;  // they belong to a program that is stopped
    for (const ProcessId process : resized.added) {
        const bool rests = fleet_.machine(process).is_resting() && fleet_.held_by(process).empty();
        (rests ? down : starting).push_back(process);
    }
    if (!starting.empty())
        waits_.add(control::Verb::start, starting, patience_for(starting), Gathered::share(all),
                   true);
    if (!resized.leaving.empty())
        waits_.add(control::Verb::stop, resized.leaving, patience_for(resized.leaving),
                   Gathered::share(all));
    drain();
    waits_.recheck();
    Gathered::share(all)(states(down));
    all->close();
}

Duration Supervisor::roll_patience(const std::vector<ProcessId>& processes) const {
    Duration patience{};
    for (const ProcessId id : processes) patience += patience_for({id});
    return patience;
}

std::optional<control::ApiError> Supervisor::roll(const std::vector<ProcessId>& processes,
                                                  bool wait,
                                                  const control::VerbDone& done) {
    const core::RollId id = fleet_.roll(processes, core::Renewal::rolled, moment(), actions_);
    if (wait) roll_waits_.add(id, processes, roll_patience(processes), done);
    drain();
    if (!wait) done(states(processes));
    return std::nullopt;
}

control::VerbOutcome Supervisor::quiet(ProcessId id, bool is_quiet) {
    ProcessParts& parts = parts_[id.value()];
    const core::Traits& traits = core::traits(lives_.life_of(id).registry);
    control::VerbOutcome outcome{parts.id, false, core::state_name(fleet_.machine(id).state()), ""};
    const auto told = [&](bool ok, std::string message) {
        outcome.ok = ok;
        outcome.message = std::move(message);
        return outcome;
    };
    if (!parts.child) return told(false, "is not running");
    if (is_quiet && !traits.quiet) {
        return told(false, lives_.life_of(id).registry == config::RegistryKind::none
                               ? "has no registry: nobody knows how to tell it to take no new jobs"
                               : fmt::format("{} knows no signal by which one worker takes no new "
                                             "jobs; stop it, it finishes its job first",
                                             traits.word));
    }
    if (parts.is_quiet == is_quiet)
        return told(true, is_quiet ? "is quiet already" : "is not quiet");
    if (!is_quiet && !traits.resume)
        return told(false, fmt::format("{} cannot be resumed: restart it", traits.word));
    const auto sent = executor_.send(id, is_quiet ? *traits.quiet : *traits.resume);
    if (!sent) return told(false, sent.error().message());
    parts.is_quiet = is_quiet;
    log_.info(is_quiet ? "quieted" : "resumed", {{"process", parts.id}});
    return told(true, is_quiet ? "takes no new jobs" : "takes jobs again");
}

// On TSTP and CONT.
void Supervisor::quiet_all(bool is_quiet) {
    std::set<std::string> unable;
    for (std::uint32_t i = 0; i < fleet_.size(); ++i) {
        const ProcessId id{i};
        if (!fleet_.is_there(id) || !parts_[i].child) continue;
        if (!quiet(id, is_quiet).ok) unable.insert(fleet_.program_name(fleet_.program_of(id)));
    }
    if (unable.empty()) return;
    log_.warn(is_quiet ? "not-quieted" : "not-resumed",
              {{"programs", joined(std::vector<std::string>(unable.begin(), unable.end()), ",")},
               {"hint", "muster quiet PROGRAM tells why"}});
}

}  // namespace muster::daemon
