#include "child/reaper.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>
#include <utility>

#include "base/text.h"
#include "child/proc.h"

namespace muster::child {

namespace {

struct Taken {
    ExitStatus status;
    Usage usage;
};

Duration duration_of(const timeval& time) {
    return std::chrono::seconds{time.tv_sec} + std::chrono::microseconds{time.tv_usec};
}

// Nothing: it still runs. By the system call: the library's waitid has no place for the usage.
std::optional<Taken> take_status(pid_t pid) {
    siginfo_t info{};
    rusage used{};
    if (::syscall(SYS_waitid, P_PID, pid, &info, WEXITED | WNOHANG, &used) != 0) {
        // ECHILD: somebody else took the status, which only a bug can do. It is dead in any case.
        return Taken{Killed{SIGKILL, false}, {}};
    }
    if (info.si_pid == 0) return std::nullopt;
    return Taken{decode(info),
                 {duration_of(used.ru_utime) + duration_of(used.ru_stime),
                  static_cast<std::uint64_t>(used.ru_maxrss) * 1024}};
}

bool add(int epoll, int pidfd, pid_t pid) {
    epoll_event event{};
    // Level-triggered. With edges deaths went unseen (200 children at once, with sanitizers, one
    // run of three); why was not found.
    event.events = EPOLLIN;
    event.data.u64 = static_cast<std::uint64_t>(pid);
    return pidfd >= 0 && ::epoll_ctl(epoll, EPOLL_CTL_ADD, pidfd, &event) == 0;
}

}  // namespace

Result<Reaper> Reaper::create() {
    Reaper reaper;
    reaper.epoll_ = UniqueFd{::epoll_create1(EPOLL_CLOEXEC)};
    if (!reaper.epoll_.is_open()) {
        const int error = errno;
        return Error{"opening an epoll set: " + errno_text(error)};
    }
    // By number, not thread-self: we may be on another thread than the leader.
    const std::string list = fmt::format("/proc/self/task/{}/children", ::getpid());
    reaper.list_ = UniqueFd{::open(list.c_str(), O_RDONLY | O_CLOEXEC)};
    return reaper;
}

void Reaper::watch(Pid pid, int pidfd, std::uint64_t token) {
    const bool is_added = add(epoll_.get(), pidfd, pid.value());
    if (!is_added) ++without_pidfd_;
    children_.insert_or_assign(pid.value(), Known{token, is_added ? pidfd : -1});
}

void Reaper::reap(const OnExit& on_exit, const OnOrphan& on_orphan) {
    collect_by_pidfd();
    if (without_pidfd_ > 0) collect_one_by_one();
    look_for_orphans();

    // Moved out, so that a callback that watches the next child finds us in order.
    auto children = std::exchange(dead_children_, {});
    auto orphans = std::exchange(dead_orphans_, {});
    for (const auto& [token, dead] : children)
        on_exit(token, Pid{dead.pid}, dead.status, dead.usage);
    for (const Dead& dead : orphans) on_orphan(Pid{dead.pid}, dead.status);
    children.clear();
    orphans.clear();
    dead_children_ = std::move(children);
    dead_orphans_ = std::move(orphans);
}

void Reaper::collect_by_pidfd() {
    std::array<epoll_event, 64> events{};
    int count = 0;
    bool is_moving = true;
    do {
        count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
        is_moving = false;
        for (int i = 0; i < count; ++i) {
            is_moving |=
                collect_one(static_cast<pid_t>(events[static_cast<std::size_t>(i)].data.u64));
        }
        // Fewer than fit: no more were dead. Whoever dies now sends the next SIGCHLD.
    } while (is_moving && count == static_cast<int>(events.size()));
}

void Reaper::collect_one_by_one() {
    std::vector<pid_t> pids;
    for (const auto& [pid, known] : children_) {
        if (known.pidfd < 0) pids.push_back(pid);
    }
    for (const auto& [pid, orphan] : orphans_) {
        if (!orphan.pidfd.is_open()) pids.push_back(pid);
    }
    for (const pid_t pid : pids) collect_one(pid);
}

bool Reaper::collect_one(pid_t pid) {
    const auto child = children_.find(pid);
    const auto orphan = child == children_.end() ? orphans_.find(pid) : orphans_.end();
    if (child == children_.end() && orphan == orphans_.end()) return false;
    const auto taken = take_status(pid);
    if (!taken) return false;
    if (child != children_.end()) {
        if (child->second.pidfd < 0)
            --without_pidfd_;
        else
            ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, child->second.pidfd, nullptr);
        dead_children_.push_back({child->second.token, {pid, taken->status, taken->usage}});
        children_.erase(child);
    } else {
        if (!orphan->second.pidfd.is_open()) --without_pidfd_;
        orphans_.erase(orphan);  // closing the pidfd takes it out of the set
        dead_orphans_.push_back({pid, taken->status, taken->usage});
    }
    return true;
}

void Reaper::look_for_orphans() {
    ++looks_;
    listed_.clear();
    if (list_.is_open()) {
        append_children(list_.get(), listed_);
    } else {
        const pid_t us = ::getpid();
        for (const pid_t pid : all_pids()) {
            const auto stat = read_stat(pid);
            if (stat && stat->parent == us) listed_.push_back(pid);
        }
    }
    for (const pid_t pid : listed_) {
        if (!children_.contains(pid) && !orphans_.contains(pid)) meet_orphan(pid);
    }
}

void Reaper::meet_orphan(pid_t pid) {
    if (const auto taken = take_status(pid)) {
        dead_orphans_.push_back({pid, taken->status, taken->usage});
        return;
    }
    UniqueFd pidfd{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
    if (!add(epoll_.get(), pidfd.get(), pid)) {
        pidfd.close();
        ++without_pidfd_;
    }
    orphans_.emplace(pid, Orphan{std::move(pidfd), looks_});
}

}  // namespace muster::child
