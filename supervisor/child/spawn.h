#pragma once
// Makes children; the only place that does. spawn() waits until the child's exec: some 50 µs with a
// shared address space, whatever our size (a fork from 300 MB took 6 ms). How:
// - clone with CLONE_VM | CLONE_VFORK on a small stack of our own, all signals blocked.
// - CLONE_FILES, and the child's first call is close_range(16, ~0, CLOSE_RANGE_UNSHARE): it gets a
//   copy of the lowest 16 descriptors only. With a private copy of all, exec would close the
//   thousand pidfds and pipes of a thousand children one by one. So what the child needs is put
//   into low slots that the Spawner holds from its start.
// - A failure comes as {pid, stage, errno} over one pipe that is kept for all spawns: when clone
//   returns, the child has either exec'ed or written. Nothing there to read means that it runs.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "child/child_plan.h"
#include "child/pid1.h"

namespace muster::child {

struct Child {
    Pid pid;
    UniqueFd pidfd;  // not open where the kernel has none (before 5.3)
};

enum class Stage : std::uint8_t {
    clone,
    session,
    limits,
    nice,
    oom_score_adj,
    groups,
    group,
    user,
    directory,
    output,
    parent_is_gone,
    exec,
    interpreter,  // the file is there, what its #! line (or its ELF header) names is not
};

struct SpawnFailure {
    Stage stage;
    int error;            // errno
    std::string subject;  // the directory, command or user that it is about
    bool
        is_nobodys_fault;  // no pids or no memory just now (EAGAIN, ENOMEM): try again, never count
};

// "starting shap_00: cannot change to directory /x: No such file or directory"
Error describe(const SpawnFailure& failure, const std::string& process);

using SpawnResult = std::variant<Child, SpawnFailure>;

class Spawner {
public:
    // Early, while low descriptors are free. `child_files` is what raise_file_limit() returned.
    static Result<Spawner> create(std::optional<FileLimit> child_files);

    // A child whose exec failed has been reaped when this returns.
    [[nodiscard]] SpawnResult spawn(ChildPlan& plan);

private:
    static constexpr std::size_t stack_size = 65536;

    Spawner() = default;
    [[nodiscard]] std::optional<int> connect(const OutputTarget& target,
                                             const UniqueFd& slot) const;
    void disconnect(const OutputTarget& target, const UniqueFd& slot) const;

    std::optional<FileLimit> child_files_;
    std::vector<int> ignored_signals_;  // what we were started with; children start with defaults
    UniqueFd null_;                     // the five slots below 16, also kept when unused
    UniqueFd input_;
    UniqueFd output_;
    UniqueFd errors_;
    UniqueFd failures_in_;  // the pipe's write end
    UniqueFd failures_out_;
    bool shares_table_ = false;           // close_range is there, and the slots are low enough
    std::unique_ptr<std::byte[]> stack_;  // the child's, until its exec
};

// By pidfd, so that a recycled pid can't be hit. A child that has ended already is no failure.
Outcome send_signal(const Child& child, SignalNumber signal);
// Whether a stopped child hears it only after a CONT.
bool needs_cont(SignalNumber signal);

}  // namespace muster::child
