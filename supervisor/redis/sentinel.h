#pragma once
// Asks the sentinels of a redis+sentinel:// URL, one after the other, who the master is now. Made
// anew for each question.

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "loop/loop.h"
#include "loop/resolver.h"
#include "loop/timer.h"
#include "redis/connection.h"

namespace muster::redis {

class Sentinel {
public:
    struct Answer {
        Address master;
        std::size_t told_by = 0;  // index in url.sentinels: asked first the next time
    };
    // Once, never inside the constructor.
    using Found = std::function<void(Result<Answer>)>;

    // connect_timeout is for all of them together, but each has a second at least.
    Sentinel(loop::Loop& loop,
             loop::Resolver& resolver,
             const ConnectionOptions& options,
             std::size_t first,
             Found found);
    Sentinel(const Sentinel&) = delete;
    Sentinel& operator=(const Sentinel&) = delete;
    ~Sentinel() = default;

private:
    void ask_next();
    void ask();
    void answered(const Reply& reply);
    void failed(const Error& error);

    loop::Loop& loop_;
    loop::Resolver& resolver_;
    ConnectionOptions options_;
    std::size_t first_;
    std::size_t asked_ = 0;  // how many were
    Found found_;
    std::unique_ptr<Connection> connection_;
    loop::Timer timeout_;  // of the one that is asked
};

}  // namespace muster::redis
