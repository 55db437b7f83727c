#include "child/launch.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#ifndef SYS_close_range  // older headers
#define SYS_close_range 436
#endif

// The child runs on another stack in our memory, which AddressSanitizer takes for an error.
#define MUSTER_IN_CHILD __attribute__((no_sanitize("address", "undefined")))

namespace muster::child {

namespace {

[[noreturn]] MUSTER_IN_CHILD void give_up(const Launch& launch,
                                          Stage stage,
                                          std::uint32_t candidate = 0) noexcept {
    const Failure failure{static_cast<pid_t>(::syscall(SYS_getpid)), stage, errno, candidate};
    [[maybe_unused]] const long written =
        ::syscall(SYS_write, launch.failures, &failure, sizeof failure);
    for (;;) ::syscall(SYS_exit_group, 127);
}

MUSTER_IN_CHILD void default_signals(const Launch& launch) noexcept {
    // We have no handlers, so only what is ignored would live on after exec.
    struct sigaction by_default {};
    by_default.sa_handler = SIG_DFL;
    ::sigaction(SIGPIPE, &by_default, nullptr);
    for (std::size_t i = 0; i < launch.ignored_count; ++i) {
        ::sigaction(launch.ignored_signals[i], &by_default, nullptr);
    }
}

MUSTER_IN_CHILD void set_limits(const Launch& launch) noexcept {
    if (launch.files != nullptr) {
        const rlimit limit{launch.files->soft, launch.files->hard};
        if (::syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &limit, nullptr) != 0) {
            give_up(launch, Stage::limits);
        }
    }
    for (const ResourceLimit& wanted : launch.plan.spec().limits) {
        const rlimit limit{wanted.soft, wanted.hard};
        if (::syscall(SYS_prlimit64, 0, wanted.resource, &limit, nullptr) != 0) {
            give_up(launch, Stage::limits);
        }
    }
    const ChildSpec& spec = launch.plan.spec();
    if (spec.nice && ::syscall(SYS_setpriority, PRIO_PROCESS, 0, *spec.nice) != 0) {
        give_up(launch, Stage::nice);
    }
    if (const char* score = launch.plan.oom_score_adj()) {
        std::size_t size = 0;
        while (score[size] != '\0') ++size;
        const long file =
            ::syscall(SYS_openat, AT_FDCWD, "/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
        if (file < 0 || ::syscall(SYS_write, file, score, size) < 0) {
            give_up(launch, Stage::oom_score_adj);
        }
        ::syscall(SYS_close, file);
    }
}

// Raw: glibc's wrappers change every thread, and signal the others to do so.
MUSTER_IN_CHILD void set_identity(const Launch& launch) noexcept {
    if (!launch.plan.changes_identity()) return;
    const Identity& identity = *launch.plan.spec().identity;
    if (::syscall(SYS_setgroups, identity.groups.size(), identity.groups.data()) != 0) {
        give_up(launch, Stage::groups);
    }
    if (::syscall(SYS_setresgid, identity.gid, identity.gid, identity.gid) != 0) {
        give_up(launch, Stage::group);
    }
    if (::syscall(SYS_setresuid, identity.uid, identity.uid, identity.uid) != 0) {
        give_up(launch, Stage::user);
    }
}

MUSTER_IN_CHILD void set_stdio(const Launch& launch) noexcept {
    // Those without O_CLOEXEC: dup3 of two different numbers always clears it.
    if (launch.input != 0 && ::syscall(SYS_dup3, launch.input, 0, 0) < 0)
        give_up(launch, Stage::output);
    if (launch.output >= 0 && ::syscall(SYS_dup3, launch.output, 1, 0) < 0) {
        give_up(launch, Stage::output);
    }
    if (launch.errors >= 0 && ::syscall(SYS_dup3, launch.errors, 2, 0) < 0) {
        give_up(launch, Stage::output);
    }
}

MUSTER_IN_CHILD bool is_there(const char* path) noexcept {
    return ::syscall(SYS_faccessat, AT_FDCWD, path, F_OK) == 0;
}

[[noreturn]] MUSTER_IN_CHILD void execute(const Launch& launch) noexcept {
    const auto candidates = launch.plan.candidates();
    std::uint32_t denied = 0;
    bool is_denied = false;
    for (std::uint32_t i = 0; i < candidates.size(); ++i) {
        // A look is much cheaper than an execve that fails; the last one, or the only one, is
        // looked at only when it did.
        if (i + 1 == candidates.size() || is_there(candidates[i])) {
            ::syscall(SYS_execve, candidates[i], launch.plan.argv(), launch.plan.environment());
            const int error = errno;
            const bool has_no_interpreter = error == ENOENT && is_there(candidates[i]);
            errno = error;
            if (has_no_interpreter) give_up(launch, Stage::interpreter, i);
        }
        if (errno == ENOENT || errno == ENOTDIR) continue;
        if (errno != EACCES) give_up(launch, Stage::exec, i);
        if (!is_denied) denied = i;  // perhaps a later folder has one that we may execute
        is_denied = true;
    }
    errno = is_denied ? EACCES : ENOENT;
    give_up(launch, Stage::exec, denied);
}

}  // namespace

MUSTER_IN_CHILD int run_child(void* argument) noexcept {
    const Launch& launch = *static_cast<Launch*>(argument);
    if (launch.shares_table && ::syscall(SYS_close_range, slots_end, ~0U, unshare_table) != 0) {
        give_up(launch, Stage::clone);
    }
    default_signals(launch);
    launch.plan.write_pid(static_cast<pid_t>(::syscall(SYS_getpid)));
    if (::syscall(SYS_setsid) < 0) give_up(launch, Stage::session);
    set_limits(launch);
    set_identity(launch);
    if (const auto& mask = launch.plan.spec().umask) ::syscall(SYS_umask, *mask);
    if (const char* directory = launch.plan.directory()) {
        if (::syscall(SYS_chdir, directory) != 0) give_up(launch, Stage::directory);
    }
    set_stdio(launch);
    // After the ids: a change of them takes it back. Our thread lives as long as we do.
    ::syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
    if (::syscall(SYS_getppid) != launch.parent) give_up(launch, Stage::parent_is_gone);
    const std::uint64_t none = 0;
    ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, sizeof none);
    execute(launch);
}

}  // namespace muster::child
