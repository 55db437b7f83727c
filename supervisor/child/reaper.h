#pragma once
// Reaps everything: our children and the orphans that the kernel gave us (I2). Its cost grows with
// the number of the dead and of the living orphans, never with the number of children.
//
// Children are known by their pidfds, in an epoll set of our own: epoll_wait names the dead.
// Orphans are read from the thread-group leader's list of children, which has nobody else on it
// under run_beside_leader() (elsewhere the known children are taken out of it). Only we reap, so
// nothing leaves that list while we read it, and none is missed: when a leader is dead, those that
// it left behind are on the list. Fallbacks: without pidfds every known child is asked with
// waitid; without the list /proc is read.

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <unordered_map>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "child/exit_status.h"

namespace muster::child {

class Reaper {
public:
    using OnExit =
        std::function<void(std::uint64_t token, Pid pid, ExitStatus status, const Usage& usage)>;
    using OnOrphan = std::function<void(Pid pid, ExitStatus status)>;

    static Result<Reaper> create();

    // `pidfd` (-1: none) is borrowed until the child's exit has been reported. The token is the
    // caller's own and comes back with the exit.
    void watch(Pid pid, int pidfd, std::uint64_t token);

    // On each SIGCHLD. First everything is reaped and the orphans are looked at, then the callbacks
    // are made: what they call sees the state after this look.
    void reap(const OnExit& on_exit, const OnOrphan& on_orphan);

    struct Orphan {
        UniqueFd pidfd;            // not open where the kernel has none
        std::uint64_t first_look;  // the number of the look that found it
    };
    // The adopted orphans that were alive at the last look.
    [[nodiscard]] const std::unordered_map<pid_t, Orphan>& orphans() const { return orphans_; }
    [[nodiscard]] std::uint64_t looks() const { return looks_; }
    [[nodiscard]] bool knows(Pid pid) const { return children_.contains(pid.value()); }
    [[nodiscard]] std::size_t children() const { return children_.size(); }

private:
    Reaper() = default;

    struct Known {
        std::uint64_t token;
        int pidfd;
    };
    struct Dead {
        pid_t pid = 0;
        ExitStatus status;
        Usage usage;
    };
    struct DeadChild {
        std::uint64_t token = 0;
        Dead dead;
    };

    void collect_by_pidfd();
    void collect_one_by_one();
    bool collect_one(pid_t pid);  // false: it still runs
    void look_for_orphans();
    void meet_orphan(pid_t pid);

    UniqueFd epoll_;
    UniqueFd list_;  // the leader's children; not open where the kernel has no such file
    std::unordered_map<pid_t, Known> children_;
    std::unordered_map<pid_t, Orphan> orphans_;
    std::size_t without_pidfd_ = 0;  // children and orphans that have to be asked one by one
    std::uint64_t looks_ = 0;
    std::vector<DeadChild> dead_children_;
    std::vector<Dead> dead_orphans_;
    std::vector<pid_t> listed_;  // kept for its memory
};

}  // namespace muster::child
