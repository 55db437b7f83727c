#pragma once
// Home-made workers: a member of a set, a key, or both, by patterns of the file. All that is known
// is what stands there; so only what carries the worker's unique name is ever removed, and only
// while the fields that the file names are those of the dead process.

#include <memory>
#include <vector>

#include "loop/lifeline.h"
#include "redis/client.h"
#include "registry/registry.h"
#include "registry/system.h"

namespace muster::registry {

class Custom final : public System {
public:
    Custom(redis::Client& client, SystemOptions options);

    [[nodiscard]] RegistryKind kind() const override { return RegistryKind::custom; }
    void look(std::vector<Sought> sought, LookDone done) override;
    void release(const Release& release, ReleaseDone done) override;

private:
    struct Search;
    redis::Client& client_;
    SystemOptions options_;
    loop::Lifeline lifeline_;
};

}  // namespace muster::registry
