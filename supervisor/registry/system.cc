#include "registry/system.h"

#include "registry/custom.h"
#include "registry/resque.h"
#include "registry/rq.h"
#include "registry/sidekiq.h"
#include "registry/unregistered.h"

namespace muster::registry {

// NOLINTNEXTLINE(performance-unnecessary-value-param): systems that do put back keep both
void System::check(std::vector<Present>, CheckDone done) {
    done(std::vector<Presence>{});
}

void System::keep(const Registration&) {}

// NOLINTNEXTLINE(performance-unnecessary-value-param): systems that know keep both
void System::work(std::vector<std::string> names, WorkDone done) {
    done(std::vector<Work>(names.size(), Work::unknown));
}

std::string System::holder_key(const std::string&) const {
    return {};
}

std::unique_ptr<System> make_system(RegistryKind kind,
                                    redis::Client& client,
                                    const SystemOptions& options) {
    switch (kind) {
        case RegistryKind::rq:
            return std::make_unique<Rq>(client, options);
        case RegistryKind::sidekiq:
            return std::make_unique<Sidekiq>(client, options);
        case RegistryKind::resque:
            return std::make_unique<Resque>(client, options);
        case RegistryKind::custom:
            return std::make_unique<Custom>(client, options);
        case RegistryKind::dramatiq:
        case RegistryKind::celery:
        case RegistryKind::bullmq:
            return std::make_unique<Unregistered>(kind, client, options);
        case RegistryKind::none:
        case RegistryKind::arq:
        case RegistryKind::huey:
        case RegistryKind::bee_queue:
        case RegistryKind::node_resque:
            return nullptr;
    }
    return nullptr;
}

}  // namespace muster::registry
