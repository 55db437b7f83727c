// What an older kernel or a stricter container does not have costs speed, never function.

#include <doctest/doctest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

#include "child/pid1.h"
#include "rig.h"

using namespace muster;
using namespace muster::child;

namespace {

// From here on these calls fail in this process and all its children.
bool deny(const std::vector<unsigned>& calls, unsigned error) {
    std::vector<sock_filter> program;
    program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)));
    for (const unsigned call : calls) {
        program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1));
        program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error));
    }
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

bool supervises() {
    Rig rig;
    const Child stopped = rig.start(command({"sleep", "100"}), 1);
    if (!send_signal(stopped, SignalNumber{SIGTERM})) return false;
    rig.until([&] { return rig.exits.contains(1); });
    if (rig.exits.at(1) != ExitStatus{Killed{SIGTERM, false}}) return false;
    if (rig.failure_of(command({"/no/such/file"})).error != ENOENT) return false;

    Pipe pipe;
    ChildSpec spec = shell("setsid sh -c 'echo $$; sleep 100; exit 0' & exec sleep 100");
    spec.environment.push_back("MUSTER_INSTANCE=test");
    spec.stdout_to = ToFd{pipe.in.get()};
    const Child leader = rig.start(spec, 2);
    const pid_t horse = std::stoi(pipe.line());
    rig.kill(leader, 2);
    if (!is_alive(horse)) return false;
    rig.families.end({2, leader.pid, {}}, Ending::kill, Rig::now());
    rig.until([&] { return rig.ended.contains(2); });
    return !is_alive(horse);
}

template <class Body>
int in_another_process(Body body) {
    const pid_t other = ::fork();
    if (other == 0) {
        int status = 3;
        try {
            status = body() ? 0 : 1;
        } catch (...) {  // doctest's REQUIRE
        }
        ::_exit(status);
    }
    int status = -1;
    ::waitpid(other, &status, 0);
    return status;
}

}  // namespace

TEST_CASE("without pidfds and close_range everything still works") {
    for (const unsigned error : {unsigned{ENOSYS}, unsigned{EPERM}}) {
        CAPTURE(error);
        CHECK(in_another_process([&] {
                  // Also without run_beside_leader: this process's leader has all the children.
                  return become_subreaper().ok() &&
                         deny({SYS_close_range, SYS_pidfd_open, SYS_pidfd_send_signal}, error) &&
                         supervises();
              }) == 0);
    }
}

TEST_CASE("without free low descriptors everything still works") {
    std::vector<UniqueFd> taken;
    while (taken.empty() || taken.back().get() < 20) {
        taken.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
        REQUIRE(taken.back().is_open());
    }
    CHECK(supervises());
}
