#pragma once
// hiredis' blocking connection: good enough for a stub, which has nothing else to do meanwhile.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

struct redisContext;

namespace muster::worker_stub {

struct Reply {
    enum class Kind { nothing, text, number, list, error } kind = Kind::nothing;
    std::string text;
    std::int64_t number = 0;
    std::vector<std::string> list;
};

class Redis {
public:
    // Empty when it cannot be had; `complaint` then says why.
    static std::optional<Redis> connect(const std::string& url, std::string& complaint);

    // A lost connection answers Kind::error from then on.
    Reply command(const std::vector<std::string>& words);

    // "ip:port" of our end, or "unknown" on a unix socket.
    [[nodiscard]] std::string own_address() const;

private:
    struct Closer {
        void operator()(redisContext* context) const;
    };
    explicit Redis(redisContext* context) : context_(context) {}
    std::unique_ptr<redisContext, Closer> context_;
};

}  // namespace muster::worker_stub
