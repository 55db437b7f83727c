// Any history of any small fleet: the unit tests' random sequences (unit/core/history.h), with the
// fuzzer's bytes for choices. The first ones choose the programs; where they run out, chance goes
// on, so that the world stays fair and every shutdown can end.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <span>
#include <vector>

#include "unit/core/history.h"

namespace {

using namespace muster::core;
using namespace std::chrono_literals;

class Choices {
public:
    explicit Choices(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

    [[nodiscard]] bool is_spent() const { return bytes_.empty(); }
    std::uint32_t pick(std::uint32_t n) {  // no more bytes than n needs
        if (is_spent()) return std::uniform_int_distribution<std::uint32_t>{0, n - 1}(random_);
        std::uint32_t number = 0;
        for (std::uint32_t most = n - 1; most > 0 && !is_spent(); most >>= 8U) {
            number = number << 8U | bytes_.front();
            bytes_ = bytes_.subspan(1);
        }
        return number % n;
    }
    bool flip() { return pick(2) == 1; }

private:
    std::span<const std::uint8_t> bytes_;
    std::minstd_rand random_;
};

Policy any_policy(Choices& choices) {
    Policy policy;
    policy.autostart = choices.flip();
    policy.essential = choices.flip();
    policy.has_registry = choices.flip();
    policy.claims_name = policy.has_registry && choices.flip();
    policy.restart = static_cast<Restart>(choices.pick(3));
    policy.on_fatal = static_cast<OnFatal>(choices.pick(3));
    policy.orphans = static_cast<Orphans>(choices.pick(3));
    policy.start_limit = choices.pick(4);
    if (choices.flip()) policy.ready_after = std::nullopt;
    if (choices.flip()) policy.ready_after = 0s;
    if (choices.flip()) policy.stop.push_back({muster::SignalNumber{15}, 25s});
    policy.stop.push_back({muster::SignalNumber{9}, 0s});
    return policy;
}

std::vector<ProgramPlan> any_plans(Choices& choices) {
    std::vector<ProgramPlan> plans;
    const std::uint32_t programs = choices.pick(4) + 1;
    for (std::uint32_t i = 0; i < programs; ++i) {
        ProgramPlan plan{std::string(1, static_cast<char>('a' + i)), any_policy(choices), {}, 1};
        plan.processes = choices.pick(3) + 1;
        for (std::uint32_t earlier = 0; earlier < i; ++earlier) {
            if (choices.flip())
                plan.after.push_back(
                    {plans[earlier].name, static_cast<Condition>(choices.pick(3))});
        }
        plans.push_back(std::move(plan));
    }
    return plans;
}

void must(bool is_so, const char* what) {
    if (is_so) return;
    std::fprintf(stderr, "not so: %s\n", what);
    std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Choices choices({data, size});
    History history(
        any_plans(choices), [&](std::uint32_t n) { return choices.pick(n); }, must);
    history.start();
    while (!choices.is_spent() && !history.is_over()) history.step();
    must(history.end().has_value(), "a shutdown ends (I3)");
    return 0;
}
