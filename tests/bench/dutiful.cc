// The floor of a supervisor that has muster's duties: as bare.cc, but each child is known by a
// pidfd (I4: no signal to a recycled pid) in an epoll set, has a session of its own, /dev/null for
// its output and TERM at its parent's death. The descriptors' table has room for all from the
// start.
//   dutiful N COMMAND ARGS…     ("%d" in an argument becomes the child's index)

#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

namespace {

constexpr auto wait_by_pidfd = static_cast<idtype_t>(3);  // P_PIDFD

struct Start {
    std::vector<char*> argv;
    int nothing;  // /dev/null
};

int become(void* given) {  // in the child, in the parent's memory
    const auto& start = *static_cast<Start*>(given);
    syscall(SYS_close_range, 16, ~0U, CLOSE_RANGE_UNSHARE);
    setsid();
    for (int fd = 0; fd <= 2; ++fd) dup2(start.nothing, fd);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    execv(start.argv[0], start.argv.data());
    _exit(127);
}

int start(const std::vector<std::string>& words, std::uint32_t index, int nothing, int epoll) {
    std::vector<std::string> filled = words;
    Start it{{}, nothing};
    for (std::string& word : filled) {
        if (const auto at = word.find("%d"); at != std::string::npos)
            word.replace(at, 2, std::to_string(index));
        it.argv.push_back(word.data());
    }
    it.argv.push_back(nullptr);
    alignas(16) static std::array<char, 65536> stack;
    int pidfd = -1;
    clone(become, stack.data() + stack.size(),
          CLONE_VM | CLONE_VFORK | CLONE_FILES | CLONE_PIDFD | SIGCHLD, &it, &pidfd);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u32 = index;
    epoll_ctl(epoll, EPOLL_CTL_ADD, pidfd, &event);
    return pidfd;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) return 2;
    const auto count = static_cast<std::uint32_t>(atoi(argv[1]));
    const std::vector<std::string> words(argv + 2, argv + argc);
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, nullptr);
    const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    close(fcntl(nothing, F_DUPFD_CLOEXEC, static_cast<int>(count) + 64));
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    const int asked = signalfd(-1, &term, SFD_CLOEXEC);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u32 = count;
    epoll_ctl(epoll, EPOLL_CTL_ADD, asked, &event);

    std::vector<int> children;
    for (std::uint32_t i = 0; i < count; ++i) children.push_back(start(words, i, nothing, epoll));
    bool is_ending = false;
    std::array<epoll_event, 1024> events{};
    for (std::uint32_t left = count; left > 0;) {
        const int got = epoll_wait(epoll, events.data(), events.size(), -1);
        for (const epoll_event& each :
             std::span{events}.first(got > 0 ? static_cast<std::size_t>(got) : 0)) {
            const std::uint32_t index = each.data.u32;
            if (index == count) {
                is_ending = true;
                epoll_ctl(epoll, EPOLL_CTL_DEL, asked, nullptr);
                for (const int pidfd : children)
                    syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, nullptr, 0);
                continue;
            }
            siginfo_t info{};
            waitid(wait_by_pidfd, static_cast<id_t>(children[index]), &info, WEXITED);
            epoll_ctl(epoll, EPOLL_CTL_DEL, children[index], nullptr);
            close(children[index]);
            if (is_ending)
                --left;
            else
                children[index] = start(words, index, nothing, epoll);
        }
    }
}
