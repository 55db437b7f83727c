#include "daemon/oom_evidence.h"

#include <fmt/format.h>

#include <csignal>
#include <utility>

namespace muster::daemon {

namespace {

using namespace std::chrono_literals;

constexpr Duration kills_are_kept = 10s;  // so long a kill waits for its death

}  // namespace

void OomEvidence::count(const control::Death& death) {
    is_current_ = true;
    const auto kills = counter_.new_kills();
    is_known_ = kills.has_value();
    before_ = std::exchange(looked_at_, death.at);
    if (kills_ > 0 && death.since - kills_since_ > kills_are_kept) kills_ = 0;
    if (kills.value_or(0) > 0) {
        kills_ += *kills;
        kills_since_ = death.since;
    }
}

void OomEvidence::weigh(control::Death& death) {
    if (!is_current_) count(death);
    const bool is_kill = death.by_signal && death.number == SIGKILL;
    if (!is_kill || (is_known_ && kills_ == 0)) {
        death.oom = control::Death::Oom::no;
    } else if (!is_known_) {
        death.oom = control::Death::Oom::unknown;
        death.oom_evidence = counter_.path().empty()
                                 ? "this cgroup does not tell of the out-of-memory killer"
                                 : counter_.path() + " cannot be read any more";
    } else {
        death.oom = control::Death::Oom::likely;
        death.oom_evidence =
            fmt::format("the out-of-memory killer has ended {} of this cgroup since {} ({})",
                        kills_ == 1 ? "a process" : fmt::format("{} processes", kills_),
                        format_wall_time(before_), counter_.path());
        --kills_;
    }
}

}  // namespace muster::daemon
