#pragma once
// One process's life. Pure: events in, orders and transitions out. Its phase says what of the
// current incarnation is still there; a new one is spawned only in phase `none` (I1), a name is
// released only after `ending` (I6).
//
//  state    | phases                   | deadline               | leaves for
//  STOPPED  | none                     | -                      | STARTING (start)
//  STARTING | claiming, alive          | start_timeout or       | RUNNING (ready), BACKOFF or FATAL
//  (exit, no spawn),
//           |                          | ready_after            | STOPPING (stop, timeout)
//  RUNNING  | alive                    | too old                | BACKOFF, EXITED (exit), STOPPING
//  (stop) BACKOFF  | ending, releasing, none  | release_by, next try   | STARTING (pause over,
//  start), STOPPED, STOPPING (stop) STOPPING | alive, ending, releasing | step's end, release_by |
//  STOPPED, STARTING (restart), BACKOFF, FATAL (timed out) EXITED   | ending, releasing, none  |
//  release_by             | STARTING (start), STOPPED, STOPPING (stop) FATAL    | ending,
//  releasing, none  | release_by             | STARTING (start), STOPPED, STOPPING (stop)

#include <cstdint>
#include <optional>
#include <utility>

#include "core/actions.h"
#include "core/events.h"
#include "core/policy.h"

namespace muster::core {

class ProcessMachine {
public:
    // The policy outlives the machine. release_wait: how long a replacement waits for the release
    // of the dead one.
    ProcessMachine(ProcessId id, const Policy& policy, Duration release_wait)
        : policy_(&policy), release_wait_(release_wait), id_(id) {}

    void handle(const ProcessEvent& event, const Moment& moment, Actions& actions);

    // To be called when now >= deadline().
    void deadline_reached(const Moment& moment, Actions& actions);
    [[nodiscard]] std::optional<TimePoint> deadline() const;

    // What is under way goes on by the next policy, which outlives the machine, too.
    void policy_changes(const Policy& next, const Moment& moment);

    // Redis is back: a start that was put off for its sake is tried at `when` at the latest.
    void redis_is_back(TimePoint when);

    [[nodiscard]] ProcessId id() const { return id_; }
    [[nodiscard]] State state() const { return state_; }
    [[nodiscard]] Incarnation incarnation() const { return current_; }
    [[nodiscard]] const Policy& policy() const { return *policy_; }
    // Its time is over (max_age), and that has not been said yet: said once.
    [[nodiscard]] bool has_grown_old() { return std::exchange(is_old_, false); }
    [[nodiscard]] bool has_child() const { return phase_ == Phase::alive; }
    [[nodiscard]] bool is_resting() const;  // down, nothing of it left, and nothing planned
    [[nodiscard]] bool awaits_redis() const { return state_ == State::backoff && held_tries_ > 0; }
    [[nodiscard]] bool ended_as_expected() const;  // of the last life
    [[nodiscard]] std::optional<Exit> last_exit() const { return last_exit_; }
    [[nodiscard]] std::optional<TimePoint> next_try() const;
    // Its latest starts never became ready, and that is not for Redis' sake.
    [[nodiscard]] bool fails_to_start() const { return never_ready_ > 0; }
    [[nodiscard]] std::uint32_t failures() const { return failures_; }
    [[nodiscard]] std::uint32_t restarts() const { return restarts_; }

private:
    enum class Phase : std::uint8_t { none, claiming, alive, ending, releasing };
    enum class Intent : std::uint8_t { stay_down, start_again, retry };

    void on(const StartWanted&, const Moment&, Actions&);
    void on(const StopWanted&, const Moment&, Actions&);
    void on(const RestartWanted&, const Moment&, Actions&);
    void on(const RenewalWanted&, const Moment&, Actions&);
    void on(const RecyclingWanted&, const Moment&, Actions&) {}  // the fleet's affair
    void on(const RetirementWanted&, const Moment&, Actions&);
    void on(const StopHastened&, const Moment&, Actions&);
    void on(const NameClaimed&, const Moment&, Actions&);
    void on(const ClaimRefused&, const Moment&, Actions&);
    void on(const Spawned&, const Moment&, Actions&);
    void on(const SpawnFailed&, const Moment&, Actions&);
    void on(const BecameReady&, const Moment&, Actions&);
    void on(const Unhealthy&, const Moment&, Actions&);
    void on(const ChildExited&, const Moment&, Actions&);
    void on(const FamilyEnded&, const Moment&, Actions&);
    void on(const NameReleased&, const Moment&, Actions&);

    void drain(const Moment&);
    void hurry(const Moment&);
    void begin_life(Cause cause, const Moment&, Actions&);
    void ready(const Moment&, Actions&);
    void after_death(Exit how, const Moment&, Actions&);
    void failed_start(Cause cause, const Moment&, Actions&);
    void begin_stop(Intent intent, Cause cause, const Moment&, Actions&);
    void next_step(const Moment&, Actions&);
    void down(const Moment&, Actions&);  // nothing of the last life is left: what now?
    void move(State to, Cause cause, Actions&, Duration pause = {});

    const Policy* policy_;
    TimePoint deadline_;    // of the state: start deadline, too old, next try, the step's end
    TimePoint release_by_;  // of phase releasing
    TimePoint ready_at_;
    std::optional<Exit> last_exit_;
    Duration release_wait_;
    ProcessId id_;
    Incarnation current_{0};
    std::uint32_t failures_ = 0;     // in a row, for the back-off
    std::uint32_t never_ready_ = 0;  // starts in a row that never became ready, for start_limit
    std::uint32_t restarts_ = 0;
    std::uint16_t held_tries_ = 0;  // while Redis is away: paced, not counted
    std::uint8_t step_ = 0;         // the next stop step
    State state_ = State::stopped;
    Phase phase_ = Phase::none;
    Intent intent_ = Intent::stay_down;
    // Of the current life, whatever the policy says by now:
    bool has_registry_ = false;
    bool is_ready_by_time_ = false;
    bool is_draining_ = false;   // it is being stopped, and has its first signal only
    bool can_grow_old_ = false;  // it is running, and has not grown old yet
    bool is_old_ = false;
};

}  // namespace muster::core
