#include "misbehaviour.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <vector>

namespace muster::worker_stub {
namespace {

void flood(long lines) {
    for (long i = 1; i <= lines; ++i) std::fputs(fmt::format("line {:09}\n", i).c_str(), stdout);
    std::fflush(stdout);
}

// The memory is kept until the process ends, and each page is touched: only then does it count.
void grow(int megabytes) {
    constexpr std::size_t page = 4096;
    static std::vector<std::vector<char>> kept;
    for (int i = 0; i < megabytes; ++i) {
        kept.emplace_back(1024 * 1024);
        for (std::size_t at = 0; at < kept.back().size(); at += page) kept.back()[at] = 'x';
    }
}

[[noreturn]] void live_as_orphan(bool ignores_term) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    signal(SIGTERM, ignores_term ? SIG_IGN : SIG_DFL);
    for (;;) pause();
}

void leave_orphan(Orphan where, bool ignores_term) {
    const pid_t orphan = fork();
    if (orphan < 0) {
        std::perror("fork");
        return;
    }
    if (orphan == 0) {
        if (where == Orphan::session) {
            setsid();
        } else {
            setpgid(0, 0);
        }
        live_as_orphan(ignores_term);
    }
    fmt::print("orphan {}\n", orphan);
    std::fflush(stdout);
}

}  // namespace

void misbehave(const Options& options) {
    if (options.orphan != Orphan::none) leave_orphan(options.orphan, options.orphan_ignores_term);
    if (options.grow_megabytes) grow(*options.grow_megabytes);
    if (options.flooding_lines) flood(*options.flooding_lines);
}

}  // namespace muster::worker_stub
