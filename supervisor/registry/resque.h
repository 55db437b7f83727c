#pragma once
// Resque's set of workers. An id ("hostname:pid:queues") is the worker's own choice. A dead worker
// is not unregistered: worker:<id> is the only record of its job, and Resque fails that job by the
// job's own rules when it prunes the worker. So Resque is told, by a heartbeat in the far past.

#include <set>
#include <string>
#include <vector>

#include "loop/lifeline.h"
#include "redis/client.h"
#include "registry/process_search.h"
#include "registry/registry.h"
#include "registry/system.h"

namespace muster::registry {

class Resque final : public System {
public:
    Resque(redis::Client& client, SystemOptions options);

    [[nodiscard]] RegistryKind kind() const override { return RegistryKind::resque; }
    void look(std::vector<Sought> sought, LookDone done) override;
    void release(const Release& release, ReleaseDone done) override;
    // Whoever is missing twice in a row: at its end a worker leaves the registry before it exits.
    void check(std::vector<Present> workers, CheckDone done) override;

private:
    void release_known(const Release& release, const Registration& known, ReleaseDone done);

    redis::Client& client_;
    SystemOptions options_;
    ProcessSearch search_;
    std::set<std::string> missing_;  // at the last check
    loop::Lifeline lifeline_;
};

}  // namespace muster::registry
