// The supervisor's side of what is asked of the registries and the roll.

#include <algorithm>
#include <utility>

#include "daemon/supervisor.h"
#include "registry/roll.h"

namespace muster::daemon {

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
                return Error{
                    "nothing may be decided yet: this Redis is a replica, or "
                    "its data is known to us for less than redis.lease"};
            },
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
