#include "loop/signals.h"

#include <doctest/doctest.h>

#include <csignal>
#include <optional>

#include "../loop/turns.h"
#include "loop/fd_watch.h"

using namespace muster;
using namespace muster::loop;

namespace {

void block(const std::vector<int>& signals) {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : signals) sigaddset(&set, signal);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

struct Pipe {
    Pipe() {
        int ends[2];
        if (pipe(ends) != 0) std::abort();
        read = UniqueFd{ends[0]};
        write = UniqueFd{ends[1]};
    }
    UniqueFd read;
    UniqueFd write;
};

}  // namespace

TEST_CASE("signals are told once a wake each, in one turn") {
    block({SIGUSR1, SIGCHLD});
    Loop loop;
    std::vector<int> seen;
    const Signals signals{loop, {SIGUSR1, SIGCHLD}, [&](int signal) { seen.push_back(signal); }};
    for (int i = 0; i < 3; ++i) {
        raise(SIGCHLD);
        raise(SIGUSR1);
    }
    REQUIRE(eventually(loop, [&] { return !seen.empty(); }));
    some_turns(loop);
    CHECK(seen == std::vector{SIGUSR1, SIGCHLD});
    raise(SIGCHLD);
    REQUIRE(eventually(loop, [&] { return seen.size() == 3; }));
    CHECK(seen.back() == SIGCHLD);
}

TEST_CASE("after its destruction in a callback the rest of the wake is not told") {
    block({SIGUSR1, SIGUSR2});
    Loop loop;
    std::vector<int> seen;
    std::optional<Signals> signals;
    signals.emplace(loop, std::vector{SIGUSR1, SIGUSR2}, [&](int signal) {
        seen.push_back(signal);
        signals.reset();
    });
    raise(SIGUSR1);
    raise(SIGUSR2);
    REQUIRE(eventually(loop, [&] { return !seen.empty(); }));
    some_turns(loop);
    CHECK(seen == std::vector{SIGUSR1});
}

TEST_CASE("a watch tells of bytes and of the end, and only of what is asked for") {
    Loop loop;
    Pipe pipe;
    int readable = 0;
    FdWatch watch{loop, pipe.read.get(), [&](bool can_read, bool can_write) {
                      CHECK(can_read);
                      CHECK_FALSE(can_write);
                      ++readable;
                      watch.watch(false, false);
                  }};
    REQUIRE(write(pipe.write.get(), "x", 1) == 1);
    some_turns(loop);
    CHECK(readable == 0);
    watch.watch(true, false);
    REQUIRE(eventually(loop, [&] { return readable == 1; }));
    some_turns(loop);
    CHECK(readable == 1);
    pipe.write.close();
    watch.watch(true, false);
    CHECK(eventually(loop, [&] { return readable == 2; }));
}

TEST_CASE("a writer whose reader has gone is woken") {
    Loop loop;
    Pipe pipe;
    bool woken = false;
    std::optional<FdWatch> watch;
    watch.emplace(loop, pipe.write.get(), [&](bool, bool can_write) {
        woken = can_write;
        watch.reset();
    });
    pipe.read.close();
    watch->watch(false, true);
    REQUIRE(eventually(loop, [&] { return !watch; }));
    CHECK(woken);
}
