#include "daemon/metrics.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <utility>

#include "base/unique_fd.h"
#include "child/usage.h"
#include "daemon/registrar.h"
#include "loop/work.h"

namespace muster::daemon {

namespace {

Duration duration_of(const timeval& time) {
    return std::chrono::seconds{time.tv_sec} + std::chrono::microseconds{time.tv_usec};
}

control::OwnUsage own_usage() {
    control::OwnUsage usage;
    rusage used{};
    if (::getrusage(RUSAGE_SELF, &used) == 0)
        usage.cpu = duration_of(used.ru_utime) + duration_of(used.ru_stime);
    const UniqueFd file{::open("/proc/self/statm", O_RDONLY | O_CLOEXEC)};
    std::array<char, 128> text{};  // "size resident …", in pages
    if (file.is_open() && ::read(file.get(), text.data(), text.size() - 1) > 0) {
        char* rest = nullptr;
        static_cast<void>(std::strtoull(text.data(), &rest, 10));
        usage.memory =
            std::strtoull(rest, nullptr, 10) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    }
    return usage;
}

}  // namespace

// A life that is not the first is a restart; its reason is what led to the pause before it.
void Metrics::shown(const std::string& program,
                    const core::Transition& transition,
                    ProcessParts& parts) {
    if (transition.to == core::State::backoff) parts.backoff_cause = transition.cause;
    if (transition.to != core::State::starting || transition.who.value() < 2) return;
    const core::Cause cause =
        transition.cause == core::Cause::pause_over ? parts.backoff_cause : transition.cause;
    ++programs_[program].restarts[core::cause_text(cause)];
}

void Metrics::died(const std::string& program, const control::Death& death) {
    control::ProgramCounts& counts = programs_[program];
    ++(death.oom == control::Death::Oom::likely ? counts.oom_kills
       : death.by_signal                        ? counts.signals
                                                : counts.exits);
}

void Metrics::released(const std::string& program, const registry::Released& outcome) {
    ++releases_[verdict_text(outcome.verdict)];
    programs_[program].handed_back += outcome.handed_back.size();
}

void Metrics::sample(const Parts& parts, std::function<void()> then) {
    const bool is_fresh = sampled_at_ != TimePoint{} && loop_.now() - sampled_at_ < sample_age;
    if (is_fresh && waiting_.empty()) return then();
    waiting_.push_back(std::move(then));
    if (waiting_.size() > 1) return;  // the look under way is theirs, too
    struct Look {
        std::vector<pid_t> leaders;
        std::unordered_map<pid_t, child::FamilyUsage> found;
    };
    auto look = std::make_shared<Look>();
    for (const ProcessParts& each : parts) {
        if (each.child) look->leaders.push_back(each.child->pid.value());
    }
    loop::run_in_pool(
        loop_, [look] { look->found = child::usage_of_families(look->leaders); },
        lifeline_.guard([this, look] {
            sampled_at_ = loop_.now();
            families_.clear();
            for (const auto& [pid, usage] : look->found)
                families_[pid] = {usage.processes, usage.memory, usage.cpu};
            for (const auto& call : std::exchange(waiting_, {})) call();
        }));
}

control::MetricsView Metrics::view(const control::SupervisorView& supervisor) const {
    return {.supervisor = supervisor,
            .programs = programs_,
            .families = families_,
            .releases = releases_,
            .clean_times = clean_times_,
            .turn_times = turn_times_.histogram(),
            .dropped_lines = 0,
            .stale_removed = 0,
            .queues = {},
            .own = own_usage(),
            .each_process = {}};
}

}  // namespace muster::daemon
