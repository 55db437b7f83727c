// A worker's life: register, beat, work, and end in order at TERM - or not, as asked.

#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>

#include "misbehaviour.h"
#include "options.h"
#include "redis.h"
#include "worker.h"

namespace {

using namespace muster::worker_stub;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

void reap(std::optional<Worker>& worker) {
    int status = 0;
    for (pid_t pid = waitpid(-1, &status, WNOHANG); pid > 0; pid = waitpid(-1, &status, WNOHANG)) {
        if (worker) worker->horse_ended(pid, WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
}

// Until TERM or INT, and then until the job in flight has ended: a warm shutdown.
// NOLINTNEXTLINE(readability-function-cognitive-complexity): a life, told in its order
void live(const Options& options, std::optional<Worker>& worker, const sigset_t& signals) {
    const auto born = Clock::now();
    auto beat_at = born + std::chrono::seconds{std::max(1, options.worker_ttl - 15)};
    bool is_asked_to_end = false;
    for (;;) {
        const bool is_busy = worker && !is_asked_to_end && options.works && worker->work();
        const bool has_horse = worker && worker->horse();
        if (is_asked_to_end && !has_horse) return;

        auto now = Clock::now();
        auto wake_at = now + std::chrono::hours{1};
        if (worker) wake_at = std::min(wake_at, beat_at);
        if (worker && options.works && !is_busy)
            wake_at = std::min(wake_at, now + milliseconds{50});
        if (options.crash_after) {
            const auto crash_at =
                born + milliseconds{static_cast<long>(*options.crash_after * 1000)};
            if (now >= crash_at) kill(getpid(), SIGKILL);
            wake_at = std::min(wake_at, crash_at);
        }
        const auto pause =
            std::max(std::chrono::nanoseconds{0},
                     std::chrono::duration_cast<std::chrono::nanoseconds>(wake_at - now));
        const timespec limit{.tv_sec = static_cast<time_t>(pause.count() / 1'000'000'000),
                             .tv_nsec = static_cast<long>(pause.count() % 1'000'000'000)};
        const int got = sigtimedwait(&signals, nullptr, &limit);
        if (got == SIGCHLD) reap(worker);
        if (got == SIGTERM || got == SIGINT) {
            fmt::print("heard {}\n", got == SIGTERM ? "TERM" : "INT");
            std::fflush(stdout);
            is_asked_to_end = is_asked_to_end || !options.ignores_term;
        }
        now = Clock::now();
        if (worker && now >= beat_at) {
            worker->heartbeat();
            const int next = worker->horse() ? 30 : std::max(1, options.worker_ttl - 15);
            beat_at = now + std::chrono::seconds{next};
        }
    }
}

int complain(const std::string& complaint, int code) {
    fmt::print(stderr, "worker_stub: {}\n", complaint);
    return code;
}

}  // namespace

// NOLINTNEXTLINE(readability-function-cognitive-complexity): likewise
int main(int argc, char** argv) {
    auto parsed = parse({argv + 1, argv + argc});
    if (parsed.options.help) {
        std::fputs(usage().c_str(), stdout);
        return 0;
    }
    if (!parsed.complaint.empty()) return complain(parsed.complaint, 2);
    auto& options = parsed.options;
    if (options.name.empty()) options.name = random_hex(32);

    sigset_t signals;
    sigemptyset(&signals);
    for (const int one : {SIGTERM, SIGINT, SIGCHLD}) sigaddset(&signals, one);
    sigprocmask(SIG_BLOCK, &signals, nullptr);

    std::optional<Worker> worker;
    std::optional<Redis> subscription;
    if (!options.redis_url.empty()) {
        std::string complaint;
        auto redis = Redis::connect(options.redis_url, complaint);
        if (!redis) return complain(complaint, 1);
        if (options.registers) {
            worker.emplace(options, std::move(*redis));
            if (!worker->register_birth(complaint)) return complain(complaint, 1);
            subscription = Redis::connect(options.redis_url, complaint);
            if (subscription) subscription->command({"SUBSCRIBE", "rq:pubsub:" + options.name});
            worker->clean_registries();
        }
    }
    misbehave(options);
    if (options.exit_code) {
        if (worker) worker->register_death();
        return *options.exit_code;
    }
    if (options.hangs) {
        for (;;) pause();
    }
    live(options, worker, signals);
    if (worker) worker->register_death();
    return 0;
}
