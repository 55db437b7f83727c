#pragma once
// Job systems that keep nothing in Redis by which one worker is known: Dramatiq, Celery, BullMQ.
// muster's part is the name, the family and the stop. What a death leaves is shared, or names
// nobody, and the system's own recovery goes by it: it is left alone, and the event says so.

#include <vector>

#include "redis/client.h"
#include "registry/registry.h"
#include "registry/system.h"

namespace muster::registry {

class Unregistered final : public System {
public:
    Unregistered(RegistryKind kind, redis::Client& client, SystemOptions options);

    [[nodiscard]] RegistryKind kind() const override { return kind_; }
    void look(std::vector<Sought> sought, LookDone done) override;  // nobody is found
    void release(const Release& release, ReleaseDone done) override;

private:
    RegistryKind kind_;
    redis::Client& client_;
    SystemOptions options_;
};

}  // namespace muster::registry
