#pragma once
// A little supervisor without a loop: real children, awaited through SIGCHLD.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/text.h"
#include "child/exit_status.h"
#include "child/family.h"
#include "child/reaper.h"
#include "child/spawn.h"

namespace muster::child {

using namespace std::chrono_literals;

struct Pipe {
    UniqueFd out;
    UniqueFd in;
    Pipe() {
        int ends[2];
        REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
        out = UniqueFd{ends[0]};
        in = UniqueFd{ends[1]};
    }
    std::string line() const {
        std::string text;
        char c = 0;
        while (::read(out.get(), &c, 1) == 1 && c != '\n') text += c;
        return text;
    }
    std::string rest() const {
        std::string text;
        char piece[4096];
        ssize_t size = 0;
        while ((size = ::read(out.get(), piece, sizeof piece)) > 0) {
            text.append(piece, static_cast<std::size_t>(size));
        }
        return text;
    }
};

inline ChildSpec command(std::vector<std::string> argv) {
    ChildSpec spec;
    spec.argv = std::move(argv);
    spec.environment = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"};
    return spec;
}

inline ChildSpec shell(const std::string& script) {
    return command({"/bin/sh", "-c", script});
}

inline bool is_alive(pid_t pid) {
    return ::kill(pid, 0) == 0;
}

struct Rig {
    Spawner spawner = made(Spawner::create(std::nullopt));
    Reaper reaper = made(Reaper::create());
    std::map<std::uint64_t, ExitStatus> exits;
    std::map<std::uint64_t, Usage> usages;
    std::map<Pid, ExitStatus> orphan_exits;
    std::map<std::uint64_t, bool> ended;  // families, and whether somebody was left
    Families families{reaper, "MUSTER_INSTANCE=test", [this](std::uint64_t token, bool is_left) {
                          REQUIRE_FALSE(ended.contains(token));
                          ended[token] = is_left;
                      }};

    template <class T>
    static T made(Result<T> result) {
        REQUIRE(result.ok());
        return std::move(*result);
    }

    SpawnResult attempt(const ChildSpec& spec) {
        ChildPlan plan(spec);
        return spawner.spawn(plan);
    }

    Child start(const ChildSpec& spec, std::uint64_t token) {
        auto result = attempt(spec);
        if (const auto* failure = std::get_if<SpawnFailure>(&result)) {
            FAIL(describe(*failure, "test").message());
        }
        Child child = std::move(std::get<Child>(result));
        reaper.watch(child.pid, child.pidfd.get(), token);
        return child;
    }

    SpawnFailure failure_of(const ChildSpec& spec) {
        auto result = attempt(spec);
        REQUIRE(std::holds_alternative<SpawnFailure>(result));
        return std::get<SpawnFailure>(result);
    }
    std::string sentence_of(const ChildSpec& spec) {
        return describe(failure_of(spec), "shap_00").message();
    }

    // What it writes to stdout until its end.
    std::string output_of(ChildSpec spec) {
        Pipe pipe;
        spec.stdout_to = ToFd{pipe.in.get()};
        constexpr std::uint64_t token = 999'999;
        exits.erase(token);
        const Child child = start(spec, token);
        pipe.in.close();
        std::string text = pipe.rest();
        until([&] { return exits.contains(token); });
        return text;
    }

    static TimePoint now() { return std::chrono::steady_clock::now(); }

    // One turn of a loop: sleeps until SIGCHLD or a deadline, then handles it.
    void turn(TimePoint deadline) {
        if (const auto next = families.next_deadline(); next && *next < deadline) deadline = *next;
        const auto left = std::max(Duration{0}, Duration{deadline - now()});
        timespec wait{};
        wait.tv_sec = left / 1s;
        wait.tv_nsec = (left % 1s).count();
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGCHLD);
        if (::sigtimedwait(&set, nullptr, &wait) == SIGCHLD) reap();
        families.pass(now());
    }

    void reap() {
        reaper.reap(
            [&](std::uint64_t token, Pid, ExitStatus status, const Usage& used) {
                exits.insert_or_assign(token, status);
                usages.insert_or_assign(token, used);
            },
            [&](Pid pid, ExitStatus status) {
                orphan_exits.insert_or_assign(pid, status);
                families.orphan_gone(pid, now());
            });
    }

    template <class Condition>
    void until(Condition condition, Duration patience = 10s) {
        const TimePoint deadline = now() + patience;
        while (!condition()) {
            REQUIRE(now() < deadline);
            turn(deadline);
        }
    }

    // Kills a leader and waits until it has been reaped; its family is not ended yet.
    void kill(const Child& child, std::uint64_t token) {
        REQUIRE(send_signal(child, SignalNumber{SIGKILL}).ok());
        until([&] { return exits.contains(token); });
    }
};

}  // namespace muster::child
