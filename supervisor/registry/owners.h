#pragma once
// Who supervises which worker names, as the rolls of all instances say: read at once, page by page,
// and looked up by name. 100,000 names take some 15 MB while they are held.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "loop/lifeline.h"
#include "redis/client.h"

namespace muster::registry {

class Owners {
public:
    static constexpr std::size_t most_names = 500'000;  // more: an Error, nothing is half known
    static constexpr std::size_t rolls_a_call = 100;    // and at most some 200 entries of them

    struct Instance {
        std::string id;
        Duration lease_left{};  // as read; not above 0: over
        [[nodiscard]] bool is_live() const { return lease_left > Duration{}; }
    };
    struct Owner {
        std::uint32_t instance;  // in instances()
        std::string process;
    };

    Owners(redis::Client& client, std::string prefix);
    Owners(const Owners&) = delete;
    Owners& operator=(const Owners&) = delete;
    ~Owners() = default;

    // Replaces what was read before. Answered once; not to be called again before the answer.
    void read(std::function<void(Outcome)> done);
    [[nodiscard]] bool has_read() const { return has_read_; }
    void forget();

    [[nodiscard]] const Owner* owner_of(const std::string& name) const;  // null: in nobody's roll
    [[nodiscard]] const Instance& instance(const Owner& owner) const;
    // In the roll of an instance whose lease is not over.
    [[nodiscard]] bool is_held(const std::string& name) const;

private:
    void take_leases(const redis::Reply& reply);
    void read_rolls(std::size_t first, const std::string& cursor);
    Outcome take_names(std::size_t first, const redis::Reply& reply);
    void finish(Outcome outcome);

    redis::Client& client_;
    std::string prefix_;
    std::function<void(Outcome)> done_;
    bool has_read_ = false;
    std::vector<Instance> instances_;
    std::unordered_map<std::string, Owner> owners_;
    loop::Lifeline lifeline_;
};

}  // namespace muster::registry
