// One life's entry in its registry: from the spawn (or the claim of a name before it), over what is
// heard of it, to its release after the death.

#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "base/text.h"
#include "child/proc.h"
#include "daemon/supervisor.h"

namespace muster::daemon {

namespace {

using namespace std::chrono_literals;

}  // namespace

registry::RollEntry Supervisor::roll_entry(ProcessId id, Incarnation who) const {
    const ProcessParts& parts = parts_[id.value()];
    const config::ProgramSettings& program = lives_.settings_of(id);
    const auto stat = child::read_stat(parts.leader->value());
    registry::RollEntry entry;
    entry.given = parts.name;
    entry.name = parts.name;
    entry.kind = core::traits(program.registry).word;
    entry.process = parts.id;
    entry.program = fleet_.program_name(fleet_.program_of(id));
    entry.incarnation = who;
    entry.pid = parts.leader->value();
    entry.start_ticks = stat ? stat->start_time : 0;
    entry.host = host_;
    entry.spawned_at = parts.spawned_at;
    entry.jobs = program.jobs;
    entry.poison = program.poison;
    entry.custom = lives_.custom_entry(id);
    return entry;
}

// Right after a spawn: who will say that it is ready, and how will its registration be known?
void Supervisor::watch(ProcessId id, Incarnation who) {
    ProcessParts& parts = parts_[id.value()];
    if (!parts.child) return;
    const RunSettings& program = lives_.settings_of(id);
    if (const auto* tcp = std::get_if<config::ReadyTcp>(&program.ready)) {
        if (auto address = health::parse_address(tcp->address)) {
            parts.probe = std::make_unique<health::TcpProbe>(loop_, *address, [this, id, who] {
                parts_[id.value()].probe.reset();
                post({id, core::BecameReady{who}});
            });
        }
    }
    if (!registrar_ || program.registry == config::RegistryKind::none) return;
    registrar_->spawned(roll_entry(id, who));
    if (!core::traits(program.registry).can_be_seen) return;
    registrar_->seek({id, who, parts.name, parts.child->pid, parts.spawned_at,
                      program.may_choose_own_name, program.registry, lives_.custom_entry(id),
                      !fleet_.machine(id).policy().claims_name});
}

void Supervisor::registered(const registry::Sought& sought,
                            const registry::Registration& registration) {
    ProcessParts& parts = parts_[sought.process.value()];
    if (!parts.child || fleet_.machine(sought.process).incarnation() != sought.incarnation) return;
    parts.registration = std::make_unique<registry::Registration>(registration);
    const config::HealthRegistry& health = lives_.settings_of(sought.process).health_registry;
    registrar_->attend(sought, registration, {health.missing_after, health.heartbeat_timeout});
    queues_->met(fleet_.program_of(sought.process), sought.kind, registration.queues);
    log_.info("registered", {{"program", fleet_.program_name(fleet_.program_of(sought.process))},
                             {"process", parts.id},
                             {"pid", std::to_string(sought.pid.value())},
                             {"name", registration.name},
                             {"queues", joined(registration.queues, ",")},
                             {"version", registration.version}});
    const config::ProgramSettings& program = lives_.settings_of(sought.process);
    if (std::holds_alternative<config::ReadyRegistered>(program.ready)) {
        post({sought.process, core::BecameReady{sought.incarnation}});
    }
}

void Supervisor::judged(ProcessId id, Incarnation who, const std::string& why) {
    ProcessParts& parts = parts_[id.value()];
    if (!parts.child || fleet_.machine(id).incarnation() != who) return;
    const bool is_recovery = why.empty() && parts.ill && !parts.ill->empty();
    parts.ill = std::make_unique<std::string>(why);
    if (why.empty() && !is_recovery) return;
    log_.write(why.empty() ? LogLevel::info : LogLevel::warn,
               why.empty() ? "healthy-again" : "unhealthy",
               {{"program", fleet_.program_name(fleet_.program_of(id))},
                {"process", parts.id},
                {"pid", std::to_string(parts.child->pid.value())},
                {"name", parts.registered_name()},
                {"reason", why}});
    if (why.empty()) return;
    parts.trouble = why;
    post({id, core::Unhealthy{who}});
}

// Before its family is ended, or waited for.
void Supervisor::child_has_ended(ProcessId id) {
    const ProcessParts& parts = parts_[id.value()];
    registrar_->ended(id);
    if (parts.registration && fleet_.machine(id).policy().orphans == core::Orphans::wait) {
        const config::ProgramSettings& program = lives_.settings_of(id);
        registrar_->keep(id, program.registry, *parts.registration);
    }
}

void Supervisor::release_name(ProcessId id, Incarnation who) {
    ProcessParts& parts = parts_[id.value()];
    if (registrar_ && !parts.leader) registrar_->drop_claim(claim_of(id));  // it was never spawned
    if (!registrar_ || !parts.leader) return post({id, core::NameReleased{who}});
    const RunSettings& program = lives_.life_of(id);
    registrar_->forget(id);
    registrar_->keep_no_more(id);
    registry::Release release{.process = id,
                              .incarnation = who,
                              .name = parts.name,
                              .pid = *parts.leader,
                              .hostname = host_,
                              .spawned_at = parts.spawned_at,
                              .registration = std::nullopt,
                              .jobs = lives_.settings_of(id).jobs,
                              .may_choose_own_name = program.may_choose_own_name,
                              .kind = program.registry,
                              .custom = lives_.custom_entry(id)};
    release.death = fmt::format("{}/{}/{}", instance_, parts.id, who.value());
    release.is_name_unique = !fleet_.machine(id).policy().claims_name;
    if (parts.last_exit) release.reason = parts.last_exit->reason;
    // Nobody's job is to blame where it was stopped, or ended as it should.
    const core::ProcessMachine& machine = fleet_.machine(id);
    if (machine.state() != core::State::stopping && !machine.ended_as_expected())
        release.poison = lives_.settings_of(id).poison;
    if (parts.registration) release.registration = std::move(*parts.registration);
    parts.registration.reset();
    registrar_->release(std::move(release));
}

void Supervisor::released(const registry::Release& release, const registry::Released& outcome) {
    const ProcessParts& parts = parts_[release.process.value()];
    control::Death* death = parts.deaths ? parts.deaths->find(release.incarnation) : nullptr;
    metrics_.released(fleet_.program_name(fleet_.program_of(release.process)), outcome);
    if (death != nullptr) metrics_.cleaned(loop_.now() - death->since);
    if (death != nullptr)
        death->cleaned = control::Death::Cleaned{verdict_text(outcome.verdict), outcome.handed_back,
                                                 outcome.detail, loop_.now() - death->since};
    post({release.process, core::NameReleased{release.incarnation}});
    if (stage_ == Stage::paying && registrar_->debts() == 0) leave();
}

// Long enough for the worker to register itself under it.
registry::Claim Supervisor::claim_of(ProcessId id) const {
    return {id, parts_[id.value()].name, fleet_.machine(id).policy().start_timeout + 1min};
}

// An embedded one: whoever says by a port that it is ready. Others' restarts must not become our
// attempts to connect.
bool Supervisor::may_be_redis(ProcessId id) const {
    const RunSettings& program = lives_.settings_of(id);
    return std::holds_alternative<config::ReadyTcp>(program.ready);
}

void Supervisor::claim_name(ProcessId id, Incarnation who) {
    ProcessParts& parts = parts_[id.value()];
    parts.leader.reset();  // of the life before: this one has none yet
    parts.made_of.reset();
    parts.name = lives_.new_name(id);
    const RunSettings& program = lives_.settings_of(id);
    registrar_->claim(program.registry, claim_of(id), [this, id, who](const Outcome& outcome) {
        if (outcome) return post({id, core::NameClaimed{who}});
        ProcessParts& refused = parts_[id.value()];
        refused.trouble = outcome.error().message();
        log_.warn("name-not-claimed", {{"process", refused.id},
                                       {"reason", outcome.error().message()},
                                       {"hint", outcome.error().hint()}});
        post({id, core::ClaimRefused{who}});
    });
}

}  // namespace muster::daemon
