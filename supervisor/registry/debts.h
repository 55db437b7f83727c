#pragma once
// Deaths that are still to be told: kept until the registry confirms, tried again when Redis is
// back, and after errors with growing pauses.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <string>
#include <unordered_map>

#include "base/result.h"
#include "base/time.h"
#include "loop/lifeline.h"
#include "loop/loop.h"
#include "loop/timer.h"
#include "registry/registry.h"

namespace muster::registry {

class Debts {
public:
    static constexpr std::size_t most_kept = 10'000;  // more: the oldest is given up
    static constexpr std::size_t most_in_flight = 64;
    static constexpr Duration first_pause = std::chrono::milliseconds{250};
    static constexpr Duration longest_pause = std::chrono::seconds{5};

    struct Payer {
        std::function<void(const Release&, std::function<void(Result<Released>)>)> release;
        std::function<bool()> is_reachable;  // asked before each try: while away nothing is tried
    };
    // Told once for each debt that is paid.
    using Paid = std::function<void(const Release&, const Released&)>;

    Debts(loop::Loop& loop, Payer payer, Paid paid);
    Debts(const Debts&) = delete;
    Debts& operator=(const Debts&) = delete;
    ~Debts() = default;

    // Tried at once where Redis is there. A newer incarnation's debt of the same name replaces an
    // older one.
    void add(Release release);
    // Redis is back: everything that is not on its way is tried now, the oldest first.
    void pay_now();

    [[nodiscard]] std::size_t count() const { return debts_.size(); }
    [[nodiscard]] bool owes(const std::string& name) const { return by_name_.contains(name); }
    [[nodiscard]] std::uint64_t given_up() const { return given_up_; }
    [[nodiscard]] const std::string& last_error() const { return last_error_; }

private:
    struct Debt {
        std::uint64_t number = 0;
        Release release;
        bool on_its_way = false;
    };

    void pay();
    void pause();
    void forget(std::list<Debt>::iterator debt);
    void answered(std::uint64_t number, const std::string& name, Result<Released> result);

    loop::Loop& loop_;
    Payer payer_;
    Paid paid_;
    std::list<Debt> debts_;  // in the order in which they are tried: a failed one goes to the end
    std::unordered_map<std::string, std::list<Debt>::iterator> by_name_;
    std::size_t in_flight_ = 0;
    std::uint64_t last_number_ = 0;
    std::uint64_t given_up_ = 0;
    std::string last_error_;
    Duration pause_{0};
    bool is_pausing_ = false;
    loop::Timer timer_;
    loop::Lifeline lifeline_;
};

}  // namespace muster::registry
