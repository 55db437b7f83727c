#include "child/spawn.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "base/text.h"
#include "child/launch.h"

// The numbers and flags that older headers do not have.
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif

namespace muster::child {

namespace {

constexpr int last_signal = 64;

UniqueFd to_slot(int fd) {
    return UniqueFd{::fcntl(fd, F_DUPFD_CLOEXEC, 3)};
}

bool is_low(const UniqueFd& slot) {
    return slot.get() >= 3 && slot.get() < static_cast<int>(slots_end);
}

// Whatever we were started with ends with us, but for stdio.
void close_inherited_on_exec() {
    constexpr unsigned close_on_exec = 1U << 2;  // CLOSE_RANGE_CLOEXEC, since 5.11
    if (::syscall(SYS_close_range, 3U, ~0U, close_on_exec) == 0) return;
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    const auto end = static_cast<int>(limit.rlim_cur < 65536 ? limit.rlim_cur : 65536);
    for (int fd = 3; fd < end; ++fd) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
}

void reap_failed(pid_t pid) {
    siginfo_t info{};
    while (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED) != 0 && errno == EINTR) {
    }
}

// execve says "Permission denied" of a folder.
bool is_folder(const ChildSpec& spec, const std::string& file) {
    const bool is_relative = !file.starts_with('/') && !spec.directory.empty();
    const std::string path = is_relative ? spec.directory + "/" + file : file;
    struct stat found {};
    return ::stat(path.c_str(), &found) == 0 && S_ISDIR(found.st_mode);
}

SpawnFailure explained(const Failure& failure, const ChildPlan& plan) {
    const ChildSpec& spec = plan.spec();
    SpawnFailure told{failure.stage, failure.error, {}, is_scarcity(failure.error)};
    switch (failure.stage) {
        case Stage::directory:
            told.subject = plan.directory();
            break;
        case Stage::exec:
        case Stage::interpreter:
            // Where all of PATH was searched in vain, no folder of it is the one to name.
            told.subject = failure.error == ENOENT && failure.stage == Stage::exec
                               ? spec.argv.front()
                               : plan.candidates()[failure.candidate];
            if (failure.error == EACCES && is_folder(spec, told.subject)) told.error = EISDIR;
            break;
        case Stage::groups:
        case Stage::group:
        case Stage::user:
            told.subject = spec.identity->user;
            break;
        case Stage::nice:
            told.subject = fmt::format("{}", *spec.nice);
            break;
        case Stage::oom_score_adj:
            told.subject = plan.oom_score_adj();
            break;
        case Stage::clone:
        case Stage::session:
        case Stage::limits:
        case Stage::output:
        case Stage::parent_is_gone:
            break;
    }
    return told;
}

}  // namespace

Result<Spawner> Spawner::create(std::optional<FileLimit> child_files) {
    Spawner spawner;
    spawner.child_files_ = child_files;
    close_inherited_on_exec();
    for (int signal = 1; signal <= last_signal; ++signal) {
        struct sigaction action {};
        if (::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN) {
            spawner.ignored_signals_.push_back(signal);
        }
    }
    const UniqueFd null{::open("/dev/null", O_RDWR | O_CLOEXEC)};
    int ends[2] = {-1, -1};
    if (!null.is_open() || ::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        const int error = errno;
        return Error{"opening what every child needs: " + errno_text(error)};
    }
    spawner.failures_out_ = UniqueFd{ends[0]};
    const UniqueFd failures_in{ends[1]};
    spawner.null_ = to_slot(null.get());
    spawner.input_ = to_slot(null.get());
    spawner.output_ = to_slot(null.get());
    spawner.errors_ = to_slot(null.get());
    spawner.failures_in_ = to_slot(failures_in.get());
    if (!spawner.failures_in_.is_open()) {
        const int error = errno;
        return Error{"opening what every child needs: " + errno_text(error)};
    }
    // An empty range: only asks whether the call is there.
    spawner.shares_table_ = ::syscall(SYS_close_range, ~0U, ~0U, unshare_table) == 0 &&
                            is_low(spawner.null_) && is_low(spawner.input_) &&
                            is_low(spawner.output_) && is_low(spawner.errors_) &&
                            is_low(spawner.failures_in_);
    spawner.stack_ = std::make_unique_for_overwrite<std::byte[]>(stack_size);
    return spawner;
}

// The number that the child finds it under; -1: inherit. Nothing: it can't be had.
std::optional<int> Spawner::connect(const OutputTarget& target, const UniqueFd& slot) const {
    if (std::holds_alternative<Inherit>(target)) return -1;
    if (std::holds_alternative<Null>(target)) return null_.get();
    if (::dup3(std::get_if<ToFd>(&target)->fd, slot.get(), O_CLOEXEC) < 0) return std::nullopt;
    return slot.get();
}

// A write end that stayed open in us would keep its reader from ever seeing EOF.
void Spawner::disconnect(const OutputTarget& target, const UniqueFd& slot) const {
    if (std::holds_alternative<ToFd>(target)) ::dup3(null_.get(), slot.get(), O_CLOEXEC);
}

SpawnResult Spawner::spawn(ChildPlan& plan) {
    const ChildSpec& spec = plan.spec();
    const OutputTarget from =
        spec.stdin_from ? OutputTarget{ToFd{*spec.stdin_from}} : OutputTarget{Null{}};
    const auto input = connect(from, input_);
    const int input_error = errno;
    const auto output = connect(spec.stdout_to, output_);
    const int output_error = errno;
    const auto errors = connect(spec.stderr_to, errors_);
    const int errors_error = errno;
    if (!input || !output || !errors) {
        const int error = !input ? input_error : output ? errors_error : output_error;
        disconnect(from, input_);
        disconnect(spec.stdout_to, output_);
        disconnect(spec.stderr_to, errors_);
        return SpawnFailure{Stage::output, error, {}, is_scarcity(error)};
    }
    Launch launch{.plan = plan,
                  .parent = ::getpid(),
                  .shares_table = shares_table_,
                  .input = spec.gets_our_stdin ? STDIN_FILENO : *input,
                  .output = *output,
                  .errors = *errors,
                  .failures = failures_in_.get(),
                  .files = child_files_ ? &*child_files_ : nullptr,
                  .ignored_signals = ignored_signals_.data(),
                  .ignored_count = ignored_signals_.size()};

    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    int pidfd = -1;
    const int base = CLONE_VM | CLONE_VFORK | (shares_table_ ? CLONE_FILES : 0) | SIGCHLD;
    std::byte* const top = stack_.get() + stack_size;
    pid_t pid = ::clone(run_child, top, base | CLONE_PIDFD, &launch, &pidfd);
    if (pid < 0 && errno == EINVAL) pid = ::clone(run_child, top, base, &launch);
    const int clone_error = errno;
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    disconnect(from, input_);
    disconnect(spec.stdout_to, output_);
    disconnect(spec.stderr_to, errors_);
    // The child's change of ids was ours, too, in this one respect, as long as it shared our
    // memory.
    if (plan.changes_identity()) ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);

    if (pid < 0) return SpawnFailure{Stage::clone, clone_error, {}, is_scarcity(clone_error)};
    Child child{Pid{pid}, UniqueFd{pidfd}};
    Failure failure{};
    while (::read(failures_out_.get(), &failure, sizeof failure) == sizeof failure) {
        if (failure.pid != pid) continue;
        reap_failed(pid);
        return explained(failure, plan);
    }
    return child;
}

Outcome send_signal(const Child& child, SignalNumber signal) {
    long sent = -1;
    errno = ENOSYS;
    if (child.pidfd.is_open()) {
        sent = ::syscall(SYS_pidfd_send_signal, child.pidfd.get(), signal.value(), nullptr, 0);
    }
    // EPERM: perhaps of a container's filter that does not know the call. The child is not reaped
    // while its exit has not been reported, so its number is its own.
    if (sent != 0 && (errno == ENOSYS || errno == EPERM)) {
        sent = ::kill(child.pid.value(), signal.value());
    }
    if (sent == 0 || errno == ESRCH) return Done{};
    const int error = errno;
    return Error{fmt::format("sending {} to pid {}: {}", signal_name(signal.value()),
                             child.pid.value(), errno_text(error))};
}

bool needs_cont(SignalNumber signal) {
    return signal.value() != SIGKILL && signal.value() != SIGCONT;
}

}  // namespace muster::child
