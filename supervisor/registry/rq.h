#pragma once
// RQ's worker registry: what it holds of our workers, what it must be told of a death.
// Every change is one script that Redis runs as one step.

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "loop/lifeline.h"
#include "redis/client.h"
#include "registry/registry.h"
#include "registry/system.h"

namespace muster::registry {

class Rq final : public System {
public:
    Rq(redis::Client& client, SystemOptions options);

    [[nodiscard]] RegistryKind kind() const override { return RegistryKind::rq; }
    void look(std::vector<Sought> sought, LookDone done) override;
    void release(const Release& release, ReleaseDone done) override;
    void check(std::vector<Present> workers, CheckDone done) override;
    void keep(const Registration& registration) override;
    void work(std::vector<std::string> names, WorkDone done) override;
    [[nodiscard]] std::string holder_key(const std::string& name) const override;

private:
    struct Search;
    void look_by_name(const std::shared_ptr<Search>& search);
    void look_by_process(const std::shared_ptr<Search>& search, const std::string& cursor);
    void take_rows(Search& search,
                   std::size_t first,
                   std::size_t end,
                   const Result<redis::Reply>& reply) const;
    void take_page(Search& search, const std::vector<redis::Reply>& rows) const;
    [[nodiscard]] static bool needs_search(const Found& found);
    void release_known(const Release& release, ReleaseDone done);
    [[nodiscard]] bool is_theirs(const Registration& found, const Sought& sought) const;

    redis::Client& client_;
    SystemOptions options_;
    loop::Lifeline lifeline_;
};

}  // namespace muster::registry
