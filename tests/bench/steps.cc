// Steps a running process through its instructions, all its threads, and says which were run: the
// address of each, in the order of its first run. tests/bench/hot_code.py asks it.
//
//   bench_steps PID SECONDS

#include <dirent.h>
#include <elf.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

namespace {

volatile std::sig_atomic_t is_over = 0;

std::set<pid_t> seize_threads(pid_t process) {
    std::set<pid_t> threads;
    DIR* folder = opendir(("/proc/" + std::to_string(process) + "/task").c_str());
    if (folder == nullptr) return threads;
    while (const dirent* entry = readdir(folder)) {
        const pid_t thread = std::atoi(entry->d_name);
        // Its later threads come along; its children do not.
        if (thread == 0 || ptrace(PTRACE_SEIZE, thread, nullptr, PTRACE_O_TRACECLONE) != 0)
            continue;
        ptrace(PTRACE_INTERRUPT, thread, nullptr, nullptr);
        threads.insert(thread);
    }
    closedir(folder);
    return threads;
}

std::uint64_t place_of(pid_t thread) {
    user_regs_struct registers{};
    iovec into{&registers, sizeof registers};
    if (ptrace(PTRACE_GETREGSET, thread, NT_PRSTATUS, &into) != 0) return 0;
#if defined(__x86_64__)
    return registers.rip;
#else
    return registers.pc;
#endif
}

}  // namespace

int main(int count, char** words) {
    if (count != 3) {
        std::fputs("bench_steps PID SECONDS\n", stderr);
        return 2;
    }
    std::set<pid_t> threads = seize_threads(std::atoi(words[1]));
    if (threads.empty()) {
        std::perror("bench_steps: PTRACE_SEIZE");
        return 1;
    }
    struct sigaction action {};
    action.sa_handler = [](int) { is_over = 1; };
    sigaction(SIGALRM, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    alarm(static_cast<unsigned>(std::atoi(words[2])));

    std::unordered_set<std::uint64_t> known;
    std::vector<std::uint64_t> order;
    while (is_over == 0 && !threads.empty()) {
        int status = 0;
        const pid_t thread = waitpid(-1, &status, __WALL);
        if (thread < 0) {
            if (errno == EINTR) continue;
            break;
        }
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            threads.erase(thread);
            continue;
        }
        threads.insert(thread);
        const int signal = WSTOPSIG(status);
        const bool is_event = (status >> 16) != 0;
        const std::uint64_t place = place_of(thread);
        if (known.insert(place).second) order.push_back(place);
        const long passed_on = is_event || signal == SIGTRAP ? 0 : signal;
        ptrace(PTRACE_SINGLESTEP, thread, nullptr, passed_on);
    }
    for (const std::uint64_t place : order)
        std::printf("%llx\n", static_cast<unsigned long long>(place));
    return 0;  // and the traced process ends with a SIGTRAP, as nobody steps it any more
}
