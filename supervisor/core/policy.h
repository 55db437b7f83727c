#pragma once
// What a program asks for, as the core needs it: plain values, shared by all of the program's
// processes.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/id.h"
#include "base/time.h"

namespace muster::core {

enum class Restart : std::uint8_t { always, on_failure, never };
enum class OnFatal : std::uint8_t { exit_when_all, exit, stay };
enum class Orphans : std::uint8_t { kill, wait, leave };
enum class Jobs : std::uint8_t { hand_back, fail, leave };  // a dead worker's job in flight
enum class Condition : std::uint8_t { started, ready, succeeded };

// A job that was in hand at so many deaths of workers is failed and kept. 0: none is too many.
struct Poison {
    std::uint32_t deaths = 3;
    Duration within = std::chrono::hours{24};
    friend bool operator==(const Poison&, const Poison&) = default;
};

struct StopStep {
    SignalNumber signal;
    Duration wait;  // how long after it before the next; the last step (KILL) waits for as long as
                    // it takes
    friend bool operator==(const StopStep&, const StopStep&) = default;
};

struct Backoff {
    Duration initial = std::chrono::seconds{1};
    Duration max = std::chrono::seconds{60};
    double factor = 2.0;
    double jitter = 0.25;  // +- this share
    Duration reset_after = std::chrono::minutes{2};
    friend bool operator==(const Backoff&, const Backoff&) = default;
};

// Empty `ready_after`: somebody else (the registry, a check) says when a process is ready.
struct Policy {
    bool autostart = true;
    bool essential = true;
    bool has_registry = false;
    bool claims_name = false;  // its name template is not unique by itself
    Restart restart = Restart::always;
    OnFatal on_fatal = OnFatal::exit_when_all;
    Orphans orphans = Orphans::kill;
    std::vector<int> exit_codes{0};
    std::optional<Duration> ready_after = std::chrono::seconds{1};
    Duration start_timeout = std::chrono::seconds{60};
    Backoff backoff;
    std::uint32_t start_limit = 10;   // 0 = never give up
    std::optional<Duration> max_age;  // of a life: then it is replaced
    // How long a life that is replaced or scaled away may finish its work after the first stop
    // signal; what is stopped by an operator, or by the shutdown, has its steps alone.
    Duration drain{};
    std::vector<StopStep> stop;  // never empty; KILL is the last
    friend bool operator==(const Policy&, const Policy&) = default;
};

// It never changes, and programs may have one together.
class SharedPolicy {
public:
    SharedPolicy(Policy policy) : policy_(std::make_shared<const Policy>(std::move(policy))) {}
    SharedPolicy(std::shared_ptr<const Policy> policy) : policy_(std::move(policy)) {}
    const Policy& operator*() const { return *policy_; }
    const Policy* operator->() const { return policy_.get(); }

private:
    std::shared_ptr<const Policy> policy_;  // never null
};

// As in supervisord: started in ascending order. The shutdown ends group by group, in descending
// order; a program without a group is one of its own.
struct Priority {
    std::uint32_t group = 999;
    std::uint32_t own = 999;
    // NOLINTNEXTLINE(modernize-use-nullptr): there is no null pointer in it
    friend auto operator<=>(const Priority&, const Priority&) = default;
};

struct Dependency {
    std::string program;
    Condition condition = Condition::ready;
    friend bool operator==(const Dependency&, const Dependency&) = default;
};

}  // namespace muster::core
