#include "child/pid1.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <malloc.h>
#include <nss.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "base/text.h"

// The linker's own names for the ends of the program's code: not ours to choose.
extern "C" const char
    __executable_start;  // NOLINT(bugprone-reserved-identifier,readability-identifier-naming)
extern "C" const char etext;

namespace muster::child {

namespace {

constexpr rlim_t enough_files = 65536;
constexpr rlim_t least_files = 32;
constexpr std::uint64_t our_files = 64;
constexpr std::uint64_t files_of_a_child = 4;            // its pidfd, two pipes, a log
constexpr auto last_patience = std::chrono::seconds{2};  // for whoever ignores TERM

}  // namespace

void block_all_signals() {
    sigset_t all;
    sigfillset(&all);
    // A service manager's watchdog sends it to a loop that hangs, for a core dump of where it does.
    // (PID 1 is spared it by the kernel.)
    sigdelset(&all, SIGABRT);
    ::sigprocmask(SIG_SETMASK, &all, nullptr);
    // Whoever started us may have ignored it, and then the kernel throws away what a child's exit
    // has to say.
    struct sigaction by_default {};
    by_default.sa_handler = SIG_DFL;
    ::sigaction(SIGCHLD, &by_default, nullptr);
}

void open_closed_stdio() {
    // open() takes the lowest free number, so the order closes the holes.
    for (int fd = 0; fd <= 2; ++fd) {
        if (::fcntl(fd, F_GETFD) >= 0) continue;
        // Without O_CLOEXEC: children inherit these three.
        if (::open("/dev/null", fd == 0 ? O_RDONLY : O_RDWR) != fd) return;
    }
}

void look_names_up_without_modules() {
#if defined(MUSTER_STATIC) && defined(__GLIBC__)
    for (const char* database : {"passwd", "group", "initgroups"})
        ::__nss_configure_lookup(database, "files");
    ::__nss_configure_lookup("hosts", "files dns");
#endif
}

Outcome become_subreaper() {
    if (::getpid() == 1) return Done{};
    if (::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0) return Done{};
    const int error = errno;
    return Error{"asking the kernel for the orphans of our children: " + errno_text(error)};
}

std::optional<FileLimit> raise_file_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return std::nullopt;
    const FileLimit before{limit.rlim_cur, limit.rlim_max};
    const rlim_t wanted = std::min(limit.rlim_max, enough_files);
    if (limit.rlim_cur >= wanted) return std::nullopt;
    limit.rlim_cur = wanted;
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return std::nullopt;
    return before;
}

Outcome check_file_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= least_files) return Done{};
    return Error{fmt::format("starting with a limit of {} open files: muster needs {} for itself",
                             limit.rlim_cur, least_files),
                 scarcity_advice(EMFILE)};
}

void make_room_for_files(std::size_t children) {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == 0) return;
    const std::uint64_t wanted = std::min<std::uint64_t>(
        limit.rlim_cur - 1, our_files + std::uint64_t{children} * files_of_a_child);
    // The table grows up to the number that is asked for, and never shrinks.
    const int highest = ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, static_cast<int>(wanted));
    if (highest >= 0) ::close(highest);
}

void let_go_of_startup() {
    ::malloc_trim(0);
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    const auto begin =
        (reinterpret_cast<std::uintptr_t>(&__executable_start) + page - 1) & ~(page - 1);
    const auto end = reinterpret_cast<std::uintptr_t>(&etext) & ~(page - 1);
    if (end <= begin) return;
    // NOLINTNEXTLINE(performance-no-int-to-ptr): an address that is rounded is a number on the way
    auto* const code = reinterpret_cast<void*>(begin);
    // Else one call of a function may bring in the 2 MiB around it (seen with Linux 6.18).
    ::madvise(code, end - begin, MADV_NOHUGEPAGE);
    // Clean pages of a private file mapping: nothing can be lost, and a failure costs only memory.
    ::madvise(code, end - begin, MADV_DONTNEED);
}

void end_everybody() {
    if (::getpid() != 1) return;
    ::kill(-1, SIGTERM);
    ::kill(-1, SIGCONT);
    const auto deadline = std::chrono::steady_clock::now() + last_patience;
    const timespec moment{0, 20'000'000};
    sigset_t child_signal;
    sigemptyset(&child_signal);
    sigaddset(&child_signal, SIGCHLD);
    for (;;) {  // the loop is over: nobody is served any more
        const pid_t reaped = ::waitpid(-1, nullptr, WNOHANG);
        if (reaped < 0 && errno == ECHILD) return;
        if (reaped > 0) continue;
        if (std::chrono::steady_clock::now() >= deadline) break;
        ::sigtimedwait(&child_signal, nullptr, &moment);
    }
    ::kill(-1, SIGKILL);
    while (::waitpid(-1, nullptr, 0) > 0) {
    }
}

Error begin_anew(std::vector<std::string> words, const std::optional<FileLimit>& files) {
    std::vector<char*> arguments;
    arguments.reserve(words.size() + 1);
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    if (files) {
        const rlimit limit{files->soft, files->hard};
        ::setrlimit(RLIMIT_NOFILE, &limit);
    }
    const char* ours = "/proc/self/exe";
    std::array<char, 4096> path{};
    const ssize_t size = ::readlink(ours, path.data(), path.size() - 1);
    // By its path, so that it keeps its name; a file that was removed is still there as `ours`.
    if (size > 0) ::execv(path.data(), arguments.data());
    ::execv(ours, arguments.data());
    const int error = errno;
    return Error{"beginning anew: " + errno_text(error)};
}

int run_beside_leader(const std::function<int()>& program) {
#ifdef M_ARENA_MAX
    // One arena for this thread's start-up, one for the program, which is the only one that works:
    // what the start-up has used can be given back whole.
    ::mallopt(M_ARENA_MAX, 2);
#endif
    int status = 0;
    std::thread worker([&] { status = program(); });
    worker.join();
    return status;
}

}  // namespace muster::child
