#include "core/process_machine.h"

#include <algorithm>

#include "core/backoff.h"

namespace muster::core {

namespace {

using namespace std::chrono_literals;

// A fork that fails for want of pids or memory is tried again within a second (spec, As PID 1).
constexpr Duration fork_retry = 500ms;

// Processes that were started together shall not grow old together.
constexpr double age_spread = 0.2;

Duration age_limit(Duration max_age, double dice) {
    const double share = 1 - age_spread * dice;
    return Duration{static_cast<Duration::rep>(static_cast<double>(max_age.count()) * share)};
}

Cause cause_of(Renewal why) {
    switch (why) {
        case Renewal::rolled:
            return Cause::rolled;
        case Renewal::too_old:
            return Cause::too_old;
        case Renewal::too_big:
        case Renewal::far_too_big:
            return Cause::too_big;
    }
    return Cause::rolled;
}

}  // namespace

const char* state_name(State state) {
    switch (state) {
        case State::stopped:
            return "STOPPED";
        case State::starting:
            return "STARTING";
        case State::running:
            return "RUNNING";
        case State::backoff:
            return "BACKOFF";
        case State::stopping:
            return "STOPPING";
        case State::exited:
            return "EXITED";
        case State::fatal:
            return "FATAL";
    }
    return "?";
}

const char* cause_text(Cause cause) {
    switch (cause) {
        case Cause::asked:
            return "asked";
        case Cause::pause_over:
            return "pause-over";
        case Cause::became_ready:
            return "ready";
        case Cause::exited_expected:
            return "exited-as-expected";
        case Cause::exited_early:
            return "exited-before-ready";
        case Cause::crashed:
            return "crashed";
        case Cause::spawn_failed:
            return "spawn-failed";
        case Cause::claim_refused:
            return "name-taken";
        case Cause::start_timed_out:
            return "start-timed-out";
        case Cause::unhealthy:
            return "unhealthy";
        case Cause::gave_up:
            return "start-limit-reached";
        case Cause::rolled:
            return "rolled";
        case Cause::too_old:
            return "max-age";
        case Cause::too_big:
            return "memory";
    }
    return "?";
}

void ProcessMachine::handle(const ProcessEvent& event, const Moment& moment, Actions& actions) {
    std::visit(
        [&](const auto& what) {
            if constexpr (requires { what.who; }) {
                if (what.who != current_) return;  // an earlier life: nothing to do
            }
            on(what, moment, actions);
        },
        event);
}

void ProcessMachine::move(State to, Cause cause, Actions& actions, Duration pause) {
    actions.transitions.push_back(
        {id_, current_, state_, to, cause, last_exit_.value_or(Exit{}), pause});
    state_ = to;
}

bool ProcessMachine::is_resting() const {
    switch (state_) {
        case State::stopped:
            return true;
        case State::exited:
        case State::fatal:
            return phase_ == Phase::none;
        case State::starting:
        case State::running:
        case State::backoff:
        case State::stopping:
            return false;
    }
    return false;
}

bool ProcessMachine::ended_as_expected() const {
    if (state_ == State::fatal) return false;
    if (!last_exit_) return true;
    return !last_exit_->by_signal &&
           std::find(policy_->exit_codes.begin(), policy_->exit_codes.end(), last_exit_->number) !=
               policy_->exit_codes.end();
}

std::optional<TimePoint> ProcessMachine::next_try() const {
    if (state_ != State::backoff) return std::nullopt;
    return deadline_;
}

std::optional<TimePoint> ProcessMachine::deadline() const {
    if (phase_ == Phase::ending) return std::nullopt;
    if (phase_ == Phase::releasing) return release_by_;
    switch (state_) {
        case State::starting:
        case State::backoff:
            return deadline_;
        case State::stopping:
            if (step_ >= policy_->stop.size())
                return std::nullopt;  // after KILL there is only waiting
            return deadline_;
        case State::running:
            return can_grow_old_ ? std::optional<TimePoint>(deadline_) : std::nullopt;
        case State::stopped:
        case State::exited:
        case State::fatal:
            return std::nullopt;
    }
    return std::nullopt;
}

void ProcessMachine::policy_changes(const Policy& next, const Moment& moment) {
    // A stop goes on with the new steps; where KILL has been sent, there is only waiting.
    const bool was_killed = step_ >= policy_->stop.size();
    const std::size_t last = next.stop.size() - 1;
    step_ = static_cast<std::uint8_t>(was_killed ? next.stop.size()
                                                 : std::min<std::size_t>(step_, last));
    is_draining_ = is_draining_ && step_ > 0;
    const bool has_same_age = next.max_age == policy_->max_age;
    policy_ = &next;
    if (state_ != State::running || has_same_age) return;
    can_grow_old_ = next.max_age.has_value();
    if (can_grow_old_) deadline_ = ready_at_ + age_limit(*next.max_age, moment.dice);
}

void ProcessMachine::deadline_reached(const Moment& moment, Actions& actions) {
    const auto due = deadline();
    if (!due || moment.now < *due) return;
    if (phase_ == Phase::releasing) {  // the release is a debt from here on: it blocks nobody
        phase_ = Phase::none;
        down(moment, actions);
        return;
    }
    switch (state_) {
        case State::starting:
            if (is_ready_by_time_ && phase_ == Phase::alive) return ready(moment, actions);
            if (moment.redis_is_away && has_registry_) {  // I13: nobody is killed for Redis' sake
                deadline_ = moment.now + policy_->start_timeout;
                return;
            }
            if (phase_ == Phase::claiming) {
                phase_ = Phase::none;
                return failed_start(Cause::claim_refused, moment, actions);
            }
            return begin_stop(Intent::retry, Cause::start_timed_out, moment, actions);
        case State::backoff:
            return begin_life(Cause::pause_over, moment, actions);
        case State::stopping:
            return next_step(moment, actions);
        case State::running:
            can_grow_old_ = false;
            is_old_ = true;
            return;
        case State::stopped:
        case State::exited:
        case State::fatal:
            return;
    }
}

void ProcessMachine::redis_is_back(TimePoint when) {
    if (!awaits_redis()) return;
    held_tries_ = 0;
    deadline_ = std::min(deadline_, when);
}

void ProcessMachine::begin_life(Cause cause, const Moment& moment, Actions& actions) {
    if (current_.value() > 0) ++restarts_;
    current_ = Incarnation{current_.value() + 1};
    intent_ = Intent::stay_down;
    has_registry_ = policy_->has_registry;
    is_ready_by_time_ = false;
    move(State::starting, cause, actions);
    deadline_ = moment.now + policy_->start_timeout;
    if (policy_->claims_name) {
        phase_ = Phase::claiming;
        actions.orders.emplace_back(ClaimName{id_, current_});
    } else {
        phase_ = Phase::alive;
        actions.orders.emplace_back(Spawn{id_, current_});
    }
}

void ProcessMachine::on(const StartWanted&, const Moment& moment, Actions& actions) {
    switch (state_) {
        case State::starting:
        case State::running:
            return;
        case State::stopping:
            intent_ = Intent::start_again;
            return;
        case State::stopped:
        case State::backoff:
        case State::exited:
        case State::fatal:
            break;
    }
    failures_ = 0;
    never_ready_ = 0;
    held_tries_ = 0;
    if (phase_ == Phase::none) return begin_life(Cause::asked, moment, actions);
    move(State::stopping, Cause::asked, actions);  // what is left of the last life goes first (I1)
    step_ = static_cast<std::uint8_t>(policy_->stop.size());
    intent_ = Intent::start_again;
}

void ProcessMachine::on(const StopWanted&, const Moment& moment, Actions& actions) {
    switch (state_) {
        case State::stopped:
            return;
        case State::stopping:
            intent_ = Intent::stay_down;
            return hurry(moment);
        case State::starting:
        case State::running:
            return begin_stop(Intent::stay_down, Cause::asked, moment, actions);
        case State::backoff:
        case State::exited:
        case State::fatal:
            break;
    }
    if (phase_ == Phase::none) return move(State::stopped, Cause::asked, actions);
    move(State::stopping, Cause::asked, actions);
    step_ = static_cast<std::uint8_t>(policy_->stop.size());
    intent_ = Intent::stay_down;
}

void ProcessMachine::on(const RestartWanted&, const Moment& moment, Actions& actions) {
    switch (state_) {
        case State::starting:
        case State::running:
            return begin_stop(Intent::start_again, Cause::asked, moment, actions);
        case State::stopping:
            hurry(moment);
            [[fallthrough]];
        case State::stopped:
        case State::backoff:
        case State::exited:
        case State::fatal:
            return on(StartWanted{}, moment, actions);
    }
}

void ProcessMachine::on(const RenewalWanted& what, const Moment& moment, Actions& actions) {
    switch (state_) {
        case State::starting:
        case State::running:
            begin_stop(Intent::start_again, cause_of(what.why), moment, actions);
            if (what.why != Renewal::far_too_big) drain(moment);
            return;
        case State::stopping:
        case State::stopped:
        case State::backoff:
        case State::exited:
        case State::fatal:
            return on(StartWanted{}, moment, actions);
    }
}

void ProcessMachine::on(const RetirementWanted&, const Moment& moment, Actions& actions) {
    const bool was_up = state_ == State::starting || state_ == State::running;
    on(StopWanted{}, moment, actions);
    if (was_up) drain(moment);
}

void ProcessMachine::drain(const Moment& moment) {
    if (phase_ != Phase::alive || step_ >= policy_->stop.size()) return;
    const TimePoint until = moment.now + policy_->drain;
    is_draining_ = until > deadline_;
    deadline_ = std::max(deadline_, until);
}

// No more time than for any other stop.
void ProcessMachine::hurry(const Moment& moment) {
    if (!is_draining_) return;
    is_draining_ = false;
    deadline_ = std::min(deadline_, moment.now + policy_->stop[step_ - 1U].wait);
}

void ProcessMachine::on(const StopHastened&, const Moment& moment, Actions& actions) {
    if (state_ != State::stopping || phase_ != Phase::alive) return;
    if (step_ >= policy_->stop.size()) return;
    step_ = static_cast<std::uint8_t>(policy_->stop.size() - 1);
    next_step(moment, actions);
}

void ProcessMachine::on(const NameClaimed&, const Moment& moment, Actions& actions) {
    if (phase_ != Phase::claiming) return;
    phase_ = Phase::alive;
    deadline_ = moment.now + policy_->start_timeout;
    actions.orders.emplace_back(Spawn{id_, current_});
}

void ProcessMachine::on(const ClaimRefused&, const Moment& moment, Actions& actions) {
    if (phase_ != Phase::claiming) return;
    phase_ = Phase::none;
    failed_start(Cause::claim_refused, moment, actions);
}

void ProcessMachine::on(const Spawned&, const Moment& moment, Actions& actions) {
    if (state_ != State::starting || !policy_->ready_after) return;
    is_ready_by_time_ = true;
    if (*policy_->ready_after == Duration::zero()) return ready(moment, actions);
    deadline_ = moment.now + *policy_->ready_after;
}

void ProcessMachine::on(const SpawnFailed& what, const Moment& moment, Actions& actions) {
    if (phase_ != Phase::alive) return;
    phase_ = Phase::none;
    if (state_ == State::stopping) return down(moment, actions);
    if (what.is_nobodys_fault) {
        const Duration pause{static_cast<Duration::rep>(static_cast<double>(fork_retry.count()) *
                                                        (0.5 + moment.dice))};
        move(State::backoff, Cause::spawn_failed, actions, pause);
        deadline_ = moment.now + pause;
        return;
    }
    failed_start(Cause::spawn_failed, moment, actions);
}

void ProcessMachine::on(const BecameReady&, const Moment& moment, Actions& actions) {
    if (state_ == State::starting && phase_ == Phase::alive) ready(moment, actions);
}

void ProcessMachine::ready(const Moment& moment, Actions& actions) {
    ready_at_ = moment.now;
    never_ready_ = 0;
    held_tries_ = 0;
    can_grow_old_ = policy_->max_age.has_value();
    if (can_grow_old_) deadline_ = moment.now + age_limit(*policy_->max_age, moment.dice);
    move(State::running, Cause::became_ready, actions);
}

// Restarted as by an operator. Where it would not be started again it is left to work as it can.
void ProcessMachine::on(const Unhealthy&, const Moment& moment, Actions& actions) {
    switch (state_) {
        case State::running:
            if (policy_->restart == Restart::never) return;
            if (moment.redis_is_away && policy_->has_registry) return;  // I13
            return begin_stop(Intent::start_again, Cause::unhealthy, moment, actions);
        case State::starting:
        case State::stopping:
        case State::stopped:
        case State::backoff:
        case State::exited:
        case State::fatal:
            return;
    }
}

void ProcessMachine::on(const ChildExited& what, const Moment& moment, Actions& actions) {
    if (phase_ != Phase::alive) return;
    last_exit_ = what.how;
    phase_ = Phase::ending;
    switch (state_) {
        case State::starting:
        case State::running:
            after_death(what.how, moment, actions);
            break;
        case State::stopping:  // STOPPED only when the family has ended (I3)
        case State::stopped:
        case State::backoff:
        case State::exited:
        case State::fatal:
            break;
    }
    actions.orders.emplace_back(EndFamily{id_, current_});
}

void ProcessMachine::after_death(Exit, const Moment& moment, Actions& actions) {
    const bool expected = ended_as_expected();
    if (policy_->restart == Restart::never ||
        (policy_->restart == Restart::on_failure && expected)) {
        return move(State::exited, expected ? Cause::exited_expected : Cause::crashed, actions);
    }
    if (state_ == State::starting) return failed_start(Cause::exited_early, moment, actions);

    const Duration life = moment.now - ready_at_;
    if (life >= policy_->backoff.reset_after) failures_ = 0;
    Duration pause{};
    // An expected exit restarts at once, but not one that follows on the heels of the start: RQ's
    // worker exits 0 when a failure callback breaks its start-up maintenance, and would be
    // restarted in a hot loop.
    const bool is_failure = !expected || life < policy_->backoff.initial;
    if (is_failure) {
        if (failures_ > 0 || expected)
            pause = backoff_pause(policy_->backoff, failures_, moment.dice);
        if (!moment.redis_is_away || !has_registry_) ++failures_;
    }
    move(State::backoff, expected ? Cause::exited_expected : Cause::crashed, actions, pause);
    deadline_ = moment.now + pause;
}

void ProcessMachine::failed_start(Cause cause, const Moment& moment, Actions& actions) {
    if (policy_->restart == Restart::never) return move(State::fatal, cause, actions);
    Duration pause{};
    if (moment.redis_is_away && has_registry_) {  // I13: paced, but it counts to nothing
        pause = backoff_pause(policy_->backoff, ++held_tries_, moment.dice);
    } else {
        ++never_ready_;
        if (policy_->start_limit > 0 && never_ready_ >= policy_->start_limit) {
            return move(State::fatal, Cause::gave_up, actions);
        }
        pause = backoff_pause(policy_->backoff, failures_, moment.dice);
        ++failures_;
    }
    move(State::backoff, cause, actions, pause);
    deadline_ = moment.now + pause;
}

void ProcessMachine::begin_stop(Intent intent,
                                Cause cause,
                                const Moment& moment,
                                Actions& actions) {
    intent_ = intent;
    step_ = 0;
    is_draining_ = false;  // an earlier life may have died of its first signal
    move(State::stopping, cause, actions);
    if (phase_ ==
        Phase::claiming) {  // nothing was spawned yet; its name, if claimed, is given back
        phase_ = Phase::ending;
        actions.orders.emplace_back(EndFamily{id_, current_});
        return;
    }
    next_step(moment, actions);
}

void ProcessMachine::next_step(const Moment& moment, Actions& actions) {
    is_draining_ = false;
    const StopStep& step = policy_->stop[step_++];
    deadline_ = moment.now + step.wait;
    actions.orders.emplace_back(SendSignal{id_, current_, step.signal});
}

void ProcessMachine::on(const FamilyEnded& what, const Moment& moment, Actions& actions) {
    if (phase_ != Phase::ending) return;
    if (has_registry_ && !what.somebody_is_left) {
        phase_ = Phase::releasing;
        release_by_ = moment.now + release_wait_;
        actions.orders.emplace_back(ReleaseName{id_, current_});
        return;
    }
    phase_ = Phase::none;
    down(moment, actions);
}

void ProcessMachine::on(const NameReleased&, const Moment& moment, Actions& actions) {
    if (phase_ != Phase::releasing) return;
    phase_ = Phase::none;
    down(moment, actions);
}

void ProcessMachine::down(const Moment& moment, Actions& actions) {
    switch (state_) {
        case State::stopping:
            break;
        case State::backoff:
            if (moment.now >= deadline_) begin_life(Cause::pause_over, moment, actions);
            return;
        case State::stopped:
        case State::starting:
        case State::running:
        case State::exited:
        case State::fatal:
            return;
    }
    switch (intent_) {
        case Intent::stay_down:
            return move(State::stopped, Cause::asked, actions);
        case Intent::start_again:
            return begin_life(Cause::asked, moment, actions);
        case Intent::retry:
            return failed_start(Cause::start_timed_out, moment, actions);
    }
}

}  // namespace muster::core
