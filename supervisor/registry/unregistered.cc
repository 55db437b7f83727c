#include "registry/unregistered.h"

#include <optional>
#include <utility>

#include "registry/answers.h"

namespace muster::registry {

Unregistered::Unregistered(RegistryKind kind, redis::Client& client, SystemOptions options)
    : kind_(kind), client_(client), options_(std::move(options)) {}

void Unregistered::look(std::vector<Sought> sought, LookDone done) {
    client_.command({"PING"}, [sought = std::move(sought),
                               done = std::move(done)](const Result<redis::Reply>& reply) {
        if (!reply) return done(reply.error());
        std::vector<Found> found;
        found.reserve(sought.size());
        for (const auto& one : sought) found.emplace_back(one, std::nullopt);
        done(std::move(found));
    });
}

void Unregistered::release(const Release& release, ReleaseDone done) {
    drop_claim_of(client_, options_, release, Released::Verdict::left, std::move(done));
}

}  // namespace muster::registry
