#include "child/reaper.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "rig.h"

using namespace muster;
using namespace muster::child;

namespace {

bool has_children() {
    return ::waitid(P_ALL, 0, nullptr, WEXITED | WNOHANG | WNOWAIT) == 0;
}

}  // namespace

TEST_CASE("I2: two hundred children are reaped, each once and as itself") {
    Rig rig;
    std::vector<Child> children;
    for (std::uint64_t i = 0; i < 200; ++i) {
        children.push_back(rig.start(shell("exit " + std::to_string(i % 100)), i));
    }
    rig.until([&] { return rig.exits.size() == 200; });
    for (std::uint64_t i = 0; i < 200; ++i) {
        CHECK(rig.exits.at(i) == ExitStatus{Exited{static_cast<int>(i % 100)}});
    }
    CHECK_FALSE(has_children());
}

TEST_CASE("a death comes with what was used: CPU time, and the most memory") {
    Rig rig;
    const Child small = rig.start(shell("exit 0"), 1);
    const Child large = rig.start(shell("x=$(head -c 60000000 /dev/zero | tr '\\0' x); i=0; "
                                        "while [ $i -lt 20000 ]; do i=$((i+1)); done"),
                                  2);
    rig.until([&] { return rig.exits.size() == 2; });
    CHECK(rig.usages.at(2).peak_bytes > 60'000'000);
    CHECK(rig.usages.at(1).peak_bytes < 60'000'000);
    CHECK(rig.usages.at(1).peak_bytes > 0);
    CHECK(rig.usages.at(2).cpu > 5ms);
    CHECK(rig.usages.at(2).cpu < 60s);
    CHECK(rig.usages.at(1).cpu < rig.usages.at(2).cpu);
}

TEST_CASE("I2: children without a pidfd are reaped, too") {
    Rig rig;
    std::vector<Child> children;
    for (std::uint64_t i = 0; i < 5; ++i) {
        auto result = rig.attempt(shell("exit 3"));
        REQUIRE(std::holds_alternative<Child>(result));
        children.push_back(std::move(std::get<Child>(result)));
        rig.reaper.watch(children.back().pid, -1, i);
    }
    rig.until([&] { return rig.exits.size() == 5; });
    CHECK_FALSE(has_children());
}

TEST_CASE("I2: a storm of adopted orphans is reaped, and children are not taken for orphans") {
    Rig rig;
    const Child bystander = rig.start(command({"sleep", "100"}), 1);
    Pipe pipe;
    ChildSpec spec = shell("i=0; while [ $i -lt 100 ]; do sleep 100 & i=$((i+1)); done; echo up");
    spec.stdout_to = ToFd{pipe.in.get()};
    spec.environment.push_back("MUSTER_INSTANCE=test");
    const Child leader = rig.start(spec, 2);
    rig.until([&] { return rig.exits.contains(2); });
    CHECK(rig.reaper.orphans().size() == 100);
    CHECK_FALSE(rig.reaper.orphans().contains(bystander.pid.value()));
    std::vector<pid_t> pids;
    for (const auto& [pid, orphan] : rig.reaper.orphans()) pids.push_back(pid);
    for (const pid_t pid : pids) ::kill(pid, SIGKILL);
    rig.until([&] { return rig.orphan_exits.size() == 100; });
    CHECK(rig.reaper.orphans().empty());
    CHECK(is_alive(bystander.pid.value()));
    rig.kill(bystander, 1);
    CHECK_FALSE(has_children());
}

TEST_CASE("I2: an orphan that was dead when it was adopted is reaped in the same turn") {
    Rig rig;
    Pipe pipe;
    // The shell becomes a sleep, which never waits for its child.
    ChildSpec spec = shell("sh -c 'echo $$' & exec sleep 100");
    spec.stdout_to = ToFd{pipe.in.get()};
    const Child leader = rig.start(spec, 1);
    const pid_t orphan = std::stoi(pipe.line());
    const UniqueFd pidfd{static_cast<int>(::syscall(SYS_pidfd_open, orphan, 0))};
    pollfd dead{pidfd.get(), POLLIN, 0};
    REQUIRE(::poll(&dead, 1, 10'000) == 1);
    rig.kill(leader, 1);
    CHECK(rig.orphan_exits.contains(Pid{orphan}));
    CHECK_FALSE(has_children());
}

TEST_CASE("a child that dies before it is watched is reported all the same") {
    Rig rig;
    auto result = rig.attempt(shell("exit 4"));
    const Child& child = std::get<Child>(result);
    siginfo_t info{};
    REQUIRE(::waitid(P_PID, static_cast<id_t>(child.pid.value()), &info, WEXITED | WNOWAIT) == 0);
    rig.reaper.watch(child.pid, child.pidfd.get(), 1);
    rig.reap();
    REQUIRE(rig.exits.contains(1));
    CHECK(rig.exits.at(1) == ExitStatus{Exited{4}});
}
