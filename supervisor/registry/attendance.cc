#include "registry/attendance.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace muster::registry {
namespace {

using namespace std::chrono_literals;

constexpr Duration soonest_check = 1s;

bool is_idle(const std::string& status) {
    return status == "idle" || status == "started";
}

}  // namespace

// A missing_after that nobody shortened does not ask for more commands than the file allows.
Duration looked_at_each(Duration interval, const AttendanceRule& rule) {
    if (rule.missing_after >= AttendanceRule{}.missing_after) return interval;
    return std::clamp(rule.missing_after, soonest_check, interval);
}

std::string judge(Attending& worker, const Presence& seen, TimePoint now) {
    if (seen.state == Presence::State::ended) return {};
    if (seen.state != Presence::State::foreign) {
        worker.foreign_since.reset();
    } else {
        if (!worker.foreign_since) worker.foreign_since = now;
        if (now - *worker.foreign_since < worker.rule.missing_after) return {};
        return "it runs, but its name is held by another worker";
    }
    const bool is_still = seen.heartbeat == worker.heartbeat && is_idle(seen.status);
    if (!is_still) {
        worker.heartbeat = seen.heartbeat;
        worker.still_since = now;
        worker.still_checks = 0;
    } else if (now - worker.still_since >= worker.rule.heartbeat_timeout) {
        ++worker.still_checks;
    }
    if (seen.job != worker.job) {
        worker.job = seen.job;
        worker.job_since = now;
    }
    if (worker.still_checks >= Attendance::most_still_checks)
        return fmt::format("it is idle, and its heartbeat has stood still for {}",
                           format_seconds(now - worker.still_since));
    const bool is_overdue = !seen.job.empty() && seen.job_timeout &&
                            now - worker.job_since >= *seen.job_timeout + Attendance::job_grace;
    if (is_overdue)
        return fmt::format("its job {} is in hand for {}, and has a timeout of {}", seen.job,
                           format_seconds(now - worker.job_since),
                           format_duration(*seen.job_timeout));
    return {};
}

Attendance::Attendance(loop::Loop& loop, Duration interval, AttendanceTools tools)
    : loop_(loop),
      interval_(interval),
      tools_(std::move(tools)),
      timer_(loop, [this] { check(); }) {}

void Attendance::add(ProcessId process,
                     Incarnation incarnation,
                     RegistryKind kind,
                     Registration registration,
                     AttendanceRule rule) {
    const TimePoint now = loop_.now();
    workers_.insert_or_assign(process, Worker{.incarnation = incarnation,
                                              .kind = kind,
                                              .registration = std::move(registration),
                                              .attending = {.rule = rule,
                                                            .heartbeat = {},
                                                            .still_since = now,
                                                            .job = {},
                                                            .job_since = now,
                                                            .foreign_since = {}},
                                              .told = {}});
    if (!is_connected_) return;
    // Others may be looked at far more seldom: it does not wait for them.
    const TimePoint due = now + looked_at_each(interval_, rule);
    if (!timer_.is_armed() || due < due_) arm(due);
}

void Attendance::remove(ProcessId process) {
    workers_.erase(process);
    if (workers_.empty()) timer_.disarm();
}

void Attendance::connected() {
    is_connected_ = true;
    const TimePoint now = loop_.now();
    for (auto& [process, worker] : workers_) {  // what was not seen is not held against anybody
        worker.attending.still_since = now;
        worker.attending.still_checks = 0;
        worker.attending.job_since = now;
        worker.attending.foreign_since.reset();
    }
    arm();
}

void Attendance::disconnected() {
    is_connected_ = false;
    timer_.disarm();
}

void Attendance::arm() {
    if (!is_connected_ || workers_.empty()) return;
    Duration next = interval_;
    for (const auto& [process, worker] : workers_)
        next = std::min(next, looked_at_each(interval_, worker.attending.rule));
    arm(loop_.now() + next);
}

void Attendance::arm(TimePoint due) {
    due_ = due;
    timer_.arm(due);
}

void Attendance::check() {
    std::map<RegistryKind, std::vector<std::pair<ProcessId, Incarnation>>> by_kind;
    for (const auto& [process, worker] : workers_)
        by_kind[worker.kind].emplace_back(process, worker.incarnation);
    for (const auto& [kind, all] : by_kind) {
        for (std::size_t first = 0; first < all.size(); first += workers_a_call) {
            const std::size_t end = std::min(first + workers_a_call, all.size());
            const std::vector<std::pair<ProcessId, Incarnation>> asked(
                all.begin() + static_cast<std::ptrdiff_t>(first),
                all.begin() + static_cast<std::ptrdiff_t>(end));
            std::vector<Present> present;
            for (const auto& [process, incarnation] : asked) {
                const Worker& worker = workers_.at(process);
                present.push_back({worker.registration, worker.attending.heartbeat});
            }
            tools_.check(kind, std::move(present),
                         lifeline_.guard([this, asked](const Result<std::vector<Presence>>& seen) {
                             answered(asked, seen);
                         }));
        }
    }
    arm();
}

void Attendance::answered(const std::vector<std::pair<ProcessId, Incarnation>>& asked,
                          const Result<std::vector<Presence>>& seen) {
    if (!seen || seen->size() != asked.size() || !is_connected_) return;
    for (std::size_t i = 0; i < asked.size(); ++i) {
        const auto& [process, incarnation] = asked[i];
        const auto found = workers_.find(process);
        if (found == workers_.end() || found->second.incarnation != incarnation) continue;
        Worker& worker = found->second;
        if ((*seen)[i].state == Presence::State::put_back)
            tools_.put_back(process, incarnation, worker.registration.name);
        std::string why = judge(worker.attending, (*seen)[i], loop_.now());
        if (worker.told == why) continue;
        worker.told = why;
        tools_.judged(process, incarnation, why);  // may remove it
    }
}

}  // namespace muster::registry
