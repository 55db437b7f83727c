#pragma once
// Finds workers that choose their own names, by host, pid and birth: page by page through the set
// of all that are registered, each page one short script.

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "loop/lifeline.h"
#include "redis/client.h"
#include "redis/script.h"
#include "registry/system.h"

namespace muster::registry {

class ProcessSearch {
public:
    struct Spec {
        const redis::Script& page;  // rows of name, pid, hostname, birth, queues, version
        std::string set;
        std::function<std::optional<WallTime>(const std::string& birth)> born;
    };

    ProcessSearch(redis::Client& client, Spec spec, const SystemOptions& options);
    ProcessSearch(const ProcessSearch&) = delete;
    ProcessSearch& operator=(const ProcessSearch&) = delete;
    ~ProcessSearch() = default;

    // As System::look(). `hostnames`: whatever the workers may take for theirs. Where two fit one
    // sought process (containers that share hostname and pid) none is taken: it could be the wrong
    // one.
    void look(std::vector<Sought> sought,
              std::vector<std::string> hostnames,
              System::LookDone done);

private:
    struct Search;
    void read_page(const std::shared_ptr<Search>& search, const std::string& cursor);
    void take(Search& search, const std::vector<redis::Reply>& rows) const;
    // Whose it is, as an index into search.found.
    [[nodiscard]] std::optional<std::size_t> owner_of(const Registration& found,
                                                      const Search& search) const;

    redis::Client& client_;
    Spec spec_;
    std::function<bool(Pid registered, const Sought&)> is_of_family_;
    loop::Lifeline lifeline_;
};

}  // namespace muster::registry
