#include "daemon/earlier_lives.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <utility>

#include "base/unique_fd.h"
#include "daemon/place.h"

namespace muster::daemon {
namespace {

using namespace std::chrono_literals;

constexpr Duration between_looks = 50ms;
constexpr Duration orphans_patience = 1s;  // between TERM and KILL, as at a worker's death
// The kernel's parent-death signal was a TERM: a second one would be RQ's cold stop.
constexpr int sent_by_the_kernel = SIGTERM;

// An obstacle may be a process that is just ending: its environment goes before itself.
constexpr int most_looks_at_obstacles = 20;

struct Survivor {
    pid_t pid;
    std::uint64_t start_ticks;
    std::string program;
};

void send(const Survivor& whom, int signal) {
    const UniqueFd pidfd{static_cast<int>(::syscall(SYS_pidfd_open, whom.pid, 0))};
    const auto stat = child::read_stat(whom.pid);
    if (!stat || stat->start_time != whom.start_ticks) return;  // another has the number by now
    const auto once = [&](int number) {
        if (pidfd.is_open())
            ::syscall(SYS_pidfd_send_signal, pidfd.get(), number, nullptr, 0);
        else
            ::kill(whom.pid, number);
    };
    once(signal);
    if (signal != SIGKILL) once(SIGCONT);  // a stopped one would not hear it
}

std::string word_of(const std::vector<std::string>& marks, std::string_view name) {
    for (const std::string& mark : marks) {
        if (mark.starts_with(name)) return mark.substr(name.size());
    }
    return {};
}

bool is_there(pid_t pid) {
    return ::kill(pid, 0) == 0 || errno == EPERM;
}

// Whether another's process could be of that instance's family: we cannot read its environment.
bool could_be_of(const registry::Place& place, pid_t pid, const child::ProcStat& stat) {
    if (stat.start_time < place.start_ticks) return false;
    struct stat owner {};
    if (::stat(fmt::format("/proc/{}", pid).c_str(), &owner) != 0) return errno != ENOENT;
    return place.uid == 0 || owner.st_uid == place.uid;
}

}  // namespace

struct EarlierLives::Life {
    registry::InstanceFacts facts;
    std::vector<registry::RollEntry> entries;
    Done done;
    std::map<pid_t, std::size_t> step_of;  // of leaders: steps that have begun
    std::map<pid_t, TimePoint> next_step;  // of all
    std::unique_ptr<loop::Timer> timer;
    std::map<pid_t, Survivor> members;  // that were seen to be of it
    int looks_at_obstacles = 0;
    bool is_ending = false;
};

struct EarlierLives::Look {
    std::vector<Survivor> leaders;  // workers, as the roll has them
    std::vector<Survivor> others;
    std::string obstacle;  // why nothing can be proved; "" = nothing is in the way
};

EarlierLives::EarlierLives(loop::Loop& loop,
                           Log& log,
                           const registry::InstanceFacts& us,
                           std::function<LastSteps(const std::string&)> steps_of)
    : loop_(loop), log_(log), us_(us), steps_of_(std::move(steps_of)) {}

EarlierLives::~EarlierLives() = default;

void EarlierLives::witness(const registry::InstanceFacts& other,
                           const std::vector<registry::RollEntry>& entries,
                           Done done) {
    lives_.push_back(std::make_unique<Life>());
    Life& life = *lives_.back();
    life.facts = other;
    life.entries = entries;
    life.done = std::move(done);
    life.timer = std::make_unique<loop::Timer>(loop_, [this, &life] { pass(life); });
    life.timer->arm(loop_.now());
}

bool EarlierLives::is_ending() const {
    return std::ranges::any_of(lives_, [](const auto& life) { return life->is_ending; });
}

void EarlierLives::pass(Life& life) {
    switch (kinship(life.facts, us_)) {
        case Kinship::none:
            return finish(life, {false, "it is not an earlier life of this place"});
        case Kinship::same_container:
            if (is_alone_in_container()) return finish(life, {true, {}});
            return finish(life, {false, "others may live in this container"});
        case Kinship::same_namespace:
            break;
    }
    const auto muster = child::read_stat(life.facts.place.pid);
    if (muster && !muster->is_dead() && muster->start_time == life.facts.place.start_ticks)
        return finish(life, {false, "its supervisor lives"});
    if (!child::read_stat(1) && is_there(1))
        return finish(life, {false, "/proc does not show all processes"});
    const Look seen = look(life);
    if (!seen.leaders.empty() || !seen.others.empty()) return advance(life, seen);
    if (!seen.obstacle.empty()) {
        if (++life.looks_at_obstacles >= most_looks_at_obstacles)
            return finish(life, {false, seen.obstacle});
        return life.timer->arm(loop_.now() + between_looks);
    }
    finish(life, {true, {}});
}

EarlierLives::Look EarlierLives::look(const Life& life) {
    Look seen;
    for (const pid_t pid : child::all_pids()) {
        const auto stat = child::read_stat(pid);
        if (stat && !stat->is_dead() && pid != ::getpid()) look_at(pid, *stat, life, seen);
    }
    return seen;
}

void EarlierLives::look_at(pid_t pid, const child::ProcStat& stat, const Life& life, Look& seen) {
    const auto entry = std::ranges::find_if(life.entries, [&](const registry::RollEntry& one) {
        return one.pid == stat.session && stat.start_time >= one.start_ticks;
    });
    const bool is_in_session = entry != life.entries.end();
    if (is_in_session && entry->pid == pid && entry->start_ticks == stat.start_time) {
        seen.leaders.push_back({pid, stat.start_time, entry->program});
        return;
    }
    const auto marks = child::readable_environment(pid, "MUSTER_");
    if (!marks) {
        if (could_be_of(life.facts.place, pid, stat))
            seen.obstacle = fmt::format("the environment of pid {} cannot be read", pid);
        return;
    }
    const std::string instance = word_of(*marks, "MUSTER_INSTANCE=");
    const Survivor survivor{pid, stat.start_time, word_of(*marks, "MUSTER_PROGRAM=")};
    const auto known = life.members.find(pid);
    const bool is_known =
        known != life.members.end() && known->second.start_ticks == stat.start_time;
    if (is_known) {
        seen.others.push_back(known->second);
    } else if (instance == life.facts.id) {
        seen.others.push_back(survivor);
    } else if (is_in_session && instance.empty()) {
        // setproctitle or env -i takes the mark away. While its leader is there the session is
        // the worker's; afterwards its number may have come again.
        const auto leader = child::read_stat(entry->pid);
        if (leader && leader->start_time == entry->start_ticks)
            seen.others.push_back(survivor);
        else
            seen.obstacle = fmt::format("pid {} may be of the family of {}", pid, entry->given);
    }
}

void EarlierLives::advance(Life& life, const Look& seen) {
    const TimePoint now = loop_.now();
    if (!life.is_ending) {
        life.is_ending = true;
        log_.warn("survivors-found", {{"instance", life.facts.id},
                                      {"workers", std::to_string(seen.leaders.size())},
                                      {"others", std::to_string(seen.others.size())}});
    }
    for (const Survivor& one : seen.others) life.members.insert_or_assign(one.pid, one);
    for (const Survivor& one : seen.leaders) {
        const LastSteps last = steps_of_(one.program);
        std::size_t& step = life.step_of[one.pid];
        const auto due = life.next_step.find(one.pid);
        if (due != life.next_step.end() && now < due->second) continue;
        if (step >= last.stop.size()) continue;  // after KILL there is only waiting
        const core::StopStep& next = last.stop[step];
        const bool was_sent = step == 0 && next.signal.value() == sent_by_the_kernel;
        if (!was_sent) send(one, next.signal.value());
        if (was_sent) send(one, SIGCONT);
        life.next_step[one.pid] = now + next.wait;
        ++step;
    }
    for (const Survivor& one : seen.others) {
        if (!seen.leaders.empty() || steps_of_(one.program).orphans != core::Orphans::kill)
            continue;
        const auto due = life.next_step.find(one.pid);
        if (due == life.next_step.end()) {
            send(one, SIGTERM);
            life.next_step[one.pid] = now + orphans_patience;
        } else if (now >= due->second) {
            send(one, SIGKILL);
        }
    }
    life.timer->arm(now + between_looks);
}

void EarlierLives::finish(Life& life, registry::Witnessed seen) {
    const Done done = std::move(life.done);
    std::erase_if(lives_, [&](const auto& one) { return one.get() == &life; });
    done(std::move(seen));  // the last: it may begin the next
}

}  // namespace muster::daemon
