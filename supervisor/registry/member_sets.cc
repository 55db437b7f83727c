#include "registry/member_sets.h"

#include "core/job_system.h"

namespace muster::registry {

std::optional<MemberSets> member_sets(RegistryKind kind) {
    MemberSets sets;
    sets.kind = kind;
    sets.word = core::traits(kind).word;
    switch (kind) {
        case RegistryKind::rq:
            sets.all = "rq:workers";
            sets.queue_sets = "rq:workers:";
            sets.queues = "rq:queues";
            sets.queue_prefix = "rq:queue:";
            sets.begins = "rq:worker:";
            sets.signs = {.channel_prefix = "rq:pubsub:", .names_connections = true};
            return sets;
        case RegistryKind::sidekiq:
            // No signs of life; but a live process adds itself again at its next beat, 5 to 10 s
            // later.
            sets.all = "processes";
            return sets;
        case RegistryKind::none:
        case RegistryKind::resque:
        case RegistryKind::dramatiq:
        case RegistryKind::celery:
        case RegistryKind::bullmq:
        case RegistryKind::custom:
        case RegistryKind::arq:
        case RegistryKind::huey:
        case RegistryKind::bee_queue:
        case RegistryKind::node_resque:
            return std::nullopt;
    }
    return std::nullopt;
}

}  // namespace muster::registry
