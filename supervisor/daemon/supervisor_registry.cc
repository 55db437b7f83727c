// Redis' side of the supervisor: what it is made of, when the fleet may begin, and what is asked of
// the registries and the roll.

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/text.h"
#include "config/load.h"
#include "daemon/place.h"
#include "daemon/supervisor.h"
#include "registry/roll.h"

namespace muster::daemon {

namespace {

using namespace std::chrono_literals;

constexpr Duration survivors_patience = 2s;  // beyond the stop steps of what an earlier life left

}  // namespace

Outcome Supervisor::open_registry() {
    auto url = redis::parse_url(settings_.config.redis->url);
    if (!url) return url.error().while_doing("redis.url");
    const auto dyno = config::process_environment()("DYNO");
    registry::SystemOptions system{
        host_, instance_, settings_.config.redis->prefix, {}, dyno.value_or("")};
    system.is_of_family = [](Pid registered, const registry::Sought& sought) {
        return registered == sought.pid || ::getsid(registered.value()) == sought.pid.value();
    };
    registrar_ = std::make_unique<Registrar>(
        loop_, log_, std::move(*url), *settings_.config.redis,
        RegistrarOptions{std::move(system), facts(),
                         [this](const std::string& program) { return steps_of(program); }},
        RegistrarEvents{[this](const registry::Sought& s, const registry::Registration& r) {
                            registered(s, r);
                        },
                        [this](const registry::Release& release,
                               const registry::Released& outcome) { released(release, outcome); },
                        [this](bool is_away) { redis_changed(is_away); }, [this] { open_gate(); },
                        [this](ProcessId process, Incarnation who, const std::string& why) {
                            judged(process, who, why);
                        }});
    housekeeping_ = made_housekeeping();
    queues_ = std::make_unique<Queues>(
        loop_, [this](const std::vector<registry::Queue>& queues, registry::DepthsRead done) {
            registry::read_depths(registrar_->client(), queues, std::move(done));
        });
    autoscaler_ = made_autoscaler();
    note_autoscale();
    return Done{};
}

registry::InstanceFacts Supervisor::facts() const {
    registry::InstanceFacts us{.id = instance_,
                               .service = settings_.config.supervisor.service,
                               .host = host_,
                               .version = MUSTER_VERSION,
                               .started_at = started_at_,
                               .lease = settings_.config.redis->lease,
                               .place = read_place(config::process_environment()),
                               .programs = {}};
    for (std::uint32_t p = 0; p < fleet_.program_count(); ++p) {
        if (!fleet_.is_there(ProgramId{p})) continue;
        const config::RegistryKind kind = programs_.settings(ProgramId{p}).registry;
        us.programs.push_back({fleet_.program_name(ProgramId{p}),
                               std::string(core::traits(kind).word), fleet_.staying(ProgramId{p})});
    }
    return us;
}

// What an earlier life of a program leaves is ended as this life's would be.
LastSteps Supervisor::steps_of(const std::string& name) const {
    for (std::uint32_t p = 0; p < fleet_.program_count(); ++p) {
        if (fleet_.program_name(ProgramId{p}) != name) continue;
        const core::Policy& policy = *fleet_.plan(ProgramId{p}).policy;
        return {policy.stop, policy.orphans};
    }
    const auto usual = core::traits(core::RegistryKind::rq).stop;
    return {{usual.begin(), usual.end()}, core::Orphans::kill};
}

void Supervisor::redis_changed(bool is_away) {
    if (is_away) return queues_->redis_is_away();
    autoscaler_->look_now();
    fleet_.redis_is_back(moment());
    drain();
}

// Redis, or the settlement of earlier lives, takes longer than we wait for it. Survivors have all
// the time that their stop steps give them.
void Supervisor::gate_is_late() {
    if (is_gate_late_ || !registrar_ || !registrar_->is_ending_survivors()) return open_gate();
    is_gate_late_ = true;
    Duration longest{};
    for (std::uint32_t p = 0; p < fleet_.program_count(); ++p) {
        Duration all{};
        for (const core::StopStep& step : fleet_.plan(ProgramId{p}).policy->stop) all += step.wait;
        longest = std::max(longest, all);
    }
    gate_timer_.arm(loop_.now() + longest + survivors_patience);
}

void Supervisor::open_gate() {
    gate_timer_.disarm();
    if (registrar_ && registrar_->is_away()) {
        log_.warn("starting-without-redis",
                  {{"waited", format_duration(settings_.config.redis->wait)}});
    }
    fleet_.open_registry_gate(moment(), actions_);
    drain();
}

control::RegistryBackend Supervisor::registry_backend() {
    const auto none = [] {
        return control::ApiError{404, "no_redis", "this supervisor has no Redis",
                                 "set redis.url in its file"};
    };
    return {
        .workers =
            [this, none](const control::WorkersQuery& query,
                         control::Answered<control::WorkersPage> answer) {
                if (!housekeeping_) return answer(none());
                housekeeping_->workers(query, std::move(answer));
            },
        .fleet =
            [this, none](const control::Answered<std::vector<control::InstanceView>>& answer) {
                if (!housekeeping_) return answer(none());
                housekeeping_->fleet(answer);
            },
        .sweep =
            [this, none](bool applies, const control::Answered<control::SweepView>& answer) {
                if (!housekeeping_) return answer(none());
                housekeeping_->sweep(applies, answer);
            },
    };
}

// Only time is wanting until others' registrations may be judged.
bool Supervisor::is_settling() const {
    const redis::Client& client = registrar_->client();
    return client.is_connected() && client.session().is_master &&
           !client.may_decide(settings_.config.redis->lease);
}

std::unique_ptr<Housekeeping> Supervisor::made_housekeeping() {
    std::vector<registry::RegistryKind> kinds;
    for (std::uint32_t p = 0; p < programs_.count(); ++p) {
        const config::RegistryKind kind = programs_.settings(ProgramId{p}).registry;
        if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) kinds.push_back(kind);
    }
    return std::make_unique<Housekeeping>(
        loop_, log_, registrar_->client(),
        Housekeeping::Options{
            .instance = instance_,
            .prefix = settings_.config.redis->prefix,
            .interval = settings_.config.redis->sweep,
            .kinds = std::move(kinds),
            .ours = [this] { return living_names(); },
            .may_decide = [this]() -> Outcome {
                if (registrar_->is_away()) return Error{"Redis is away: " + registrar_->trouble()};
                if (registrar_->client().may_decide(settings_.config.redis->lease)) return Done{};
                if (is_settling())
                    return Error{
                        "nothing may be decided yet: its data is known to us for less than "
                        "redis.lease"};
                return Error{"nothing may be decided: this Redis is a replica"};
            },
            .is_settling = [this] { return is_settling(); },
            .read_instances =
                [this](registry::InstancesRead done) {
                    registry::read_instances(registrar_->client(), settings_.config.redis->prefix,
                                             std::move(done));
                }});
}

// After its death an own worker's registration is a debt, and its key is there until it is paid.
std::unordered_map<std::string, std::string> Supervisor::living_names() const {
    std::unordered_map<std::string, std::string> names;
    for (const ProcessParts& parts : parts_) {
        if (parts.child) names.emplace(parts.registered_name(), parts.id);
    }
    return names;
}

}  // namespace muster::daemon
