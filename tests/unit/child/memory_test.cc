#include "child/memory.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <string>

using namespace muster;

namespace {

constexpr std::size_t size = 32U << 20U;

// Touches its memory, tells its pid, and stays.
[[noreturn]] void hold(int tell) {
    const std::string held(size, 'x');
    const pid_t self = getpid();
    if (write(tell, &self, sizeof self) != sizeof self || held.back() != 'x') _exit(1);
    for (;;) pause();
}

}  // namespace

TEST_CASE("the memory of a session is that of all its processes, in whatever group they are") {
    std::array<int, 2> told{};
    REQUIRE(pipe(told.data()) == 0);
    const pid_t leader = fork();
    if (leader == 0) {
        setsid();
        if (fork() == 0) setpgid(0, 0);  // as RQ's work horse
        hold(told[1]);
    }
    std::array<pid_t, 2> both{};
    for (pid_t& pid : both) REQUIRE(read(told[0], &pid, sizeof pid) == sizeof pid);
    const std::array<pid_t, 2> asked{leader, 0x7ffffff0};
    const auto memory = child::session_memory(asked);
    for (const pid_t pid : both) kill(pid, SIGKILL);
    waitpid(leader, nullptr, 0);
    for (const int fd : told) close(fd);
    REQUIRE(memory.size() == 2);
    CHECK(memory[0] >= 2 * size);
    CHECK(memory[0] < 40 * size);
    CHECK(memory[1] == 0);
}
