#include "worker.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <utility>

namespace muster::worker_stub {
namespace {

constexpr int busy_ttl = 90;  // seconds; RQ's job_monitoring_interval + 60

std::string utc_now() {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    tm parts{};
    gmtime_r(&now.tv_sec, &parts);
    return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06}Z", parts, now.tv_nsec / 1000);
}

std::string hostname() {
    std::array<char, HOST_NAME_MAX + 1> name{};
    gethostname(name.data(), name.size() - 1);
    return name.data();
}

std::string joined(const std::vector<std::string>& parts) {
    return fmt::format("{}", fmt::join(parts, ","));
}

[[noreturn]] void live_as_horse(double seconds) {
    setpgid(0, 0);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    signal(SIGINT, SIG_IGN);  // as RQ's: Ctrl-C is the parent's affair
    if (seconds <= 0) {
        for (;;) pause();
    }
    timespec left{.tv_sec = static_cast<time_t>(seconds), .tv_nsec = 0};
    left.tv_nsec = static_cast<long>((seconds - static_cast<double>(left.tv_sec)) * 1e9);
    while (nanosleep(&left, &left) != 0) {
    }
    _exit(0);
}

}  // namespace

std::string random_hex(int digits) {
    std::string text;
    while (static_cast<int>(text.size()) < digits) {
        unsigned int bits = 0;
        if (getrandom(&bits, sizeof bits, 0) != sizeof bits) continue;
        text += fmt::format("{:08x}", bits);
    }
    return text.substr(0, static_cast<std::size_t>(digits));
}

Worker::Worker(const Options& options, Redis redis)
    : options_(options), redis_(std::move(redis)), key_("rq:worker:" + options.name) {}

bool Worker::register_birth(std::string& complaint) {
    // Two reads and then a write, as in RQ: not a lock.
    if (redis_.command({"EXISTS", key_}).number == 1 &&
        redis_.command({"HEXISTS", key_, "death"}).number == 0) {
        complaint = "There exists an active worker named '" + options_.name + "' already";
        return false;
    }
    const auto now = utc_now();
    redis_.command({"MULTI"});
    redis_.command({"DEL", key_});
    redis_.command({"HSET", key_, "birth", now, "last_heartbeat", now, "queues",
                    joined(options_.queues), "pid", fmt::format("{}", getpid()), "hostname",
                    hostname(), "ip_address", redis_.own_address(), "version", options_.version,
                    "python_version", "3.11.2 (worker_stub)"});
    redis_.command({"SADD", "rq:workers", key_});
    for (const auto& queue : options_.queues) {
        redis_.command({"SADD", "rq:queues", "rq:queue:" + queue});
        redis_.command({"SADD", "rq:workers:" + queue, key_});
    }
    redis_.command({"EXPIRE", key_, fmt::format("{}", options_.worker_ttl + 60)});
    const Reply done = redis_.command({"EXEC"});
    if (done.kind == Reply::Kind::error) {  // RQ raises, and ends
        complaint = "Redis answered: " + done.text;
        return false;
    }
    set_state("started");
    set_state("idle");
    return true;
}

void Worker::register_death() {
    redis_.command({"MULTI"});
    redis_.command({"SREM", "rq:workers", key_});
    for (const auto& queue : options_.queues) {
        redis_.command({"SREM", "rq:workers:" + queue, key_});
    }
    redis_.command({"HSET", key_, "death", utc_now()});
    redis_.command({"EXPIRE", key_, "60"});
    redis_.command({"EXEC"});
}

void Worker::set_state(const std::string& state) {
    redis_.command({"HSET", key_, "state", state});
}

void Worker::heartbeat() {
    const int ttl = horse_ ? busy_ttl : options_.worker_ttl + 60;
    redis_.command({"HSET", key_, "last_heartbeat", utc_now()});
    redis_.command({"EXPIRE", key_, fmt::format("{}", ttl)});
    if (!horse_) return;
    redis_.command({"ZADD", "rq:wip:" + job_.queue, "XX",
                    fmt::format("{}", time(nullptr) + busy_ttl), job_.id + ":" + job_.execution});
}

void Worker::clean_registries() {
    for (const auto& queue : options_.queues) {
        const auto wip = "rq:wip:" + queue;
        const auto now = fmt::format("{}", time(nullptr));
        for (const auto& member : redis_.command({"ZRANGEBYSCORE", wip, "0", now}).list) {
            // Whoever removes it deals with it: RQ's own cleanup is not so careful.
            if (redis_.command({"ZREM", wip, member}).number != 1) continue;
            const auto id = member.substr(0, member.find(':'));
            const auto job = "rq:job:" + id;
            redis_.command({"DEL", "rq:execution:" + member, "rq:executions:" + id});
            const auto left = redis_.command({"HGET", job, "retries_left"}).text;
            if (left.empty() || left == "0") {
                redis_.command({"HSET", job, "status", "failed"});
                redis_.command({"ZADD", "rq:failed:" + queue, now, id});
                continue;
            }
            redis_.command({"HINCRBY", job, "retries_left", "-1"});
            redis_.command({"HSET", job, "status", "queued"});
            redis_.command({"RPUSH", "rq:queue:" + queue, id});
        }
    }
}

std::optional<Worker::Job> Worker::next_job() {
    for (const auto& queue : options_.queues) {
        const auto reply = redis_.command({"LPOP", "rq:queue:" + queue});
        if (reply.kind == Reply::Kind::text) {
            made_one_ = true;
            return Job{.id = reply.text, .queue = queue, .execution = random_hex(32)};
        }
    }
    if (!options_.makes_a_job || made_one_) return {};
    made_one_ = true;
    const Job job{
        .id = random_hex(32), .queue = options_.queues.front(), .execution = random_hex(32)};
    redis_.command({"HSET", "rq:job:" + job.id, "created_at", utc_now(), "origin", job.queue,
                    "description", "made up by worker_stub", "retries_left", "1"});
    return job;
}

void Worker::begin(const Job& job) {
    const auto member = job.id + ":" + job.execution;
    const auto over = fmt::format("{}", time(nullptr) + busy_ttl);
    const auto now = utc_now();
    redis_.command({"MULTI"});
    redis_.command({"HSET", "rq:execution:" + member, "id", job.execution, "created_at", now,
                    "last_heartbeat", now});
    redis_.command({"EXPIRE", "rq:execution:" + member, "90"});
    redis_.command({"ZADD", "rq:executions:" + job.id, over, job.execution});
    redis_.command({"EXPIRE", "rq:executions:" + job.id, "150"});
    redis_.command({"ZADD", "rq:wip:" + job.queue, over, member});
    redis_.command({"HSET", "rq:job:" + job.id, "status", "started", "started_at", now,
                    "last_heartbeat", now, "worker_name", options_.name});
    redis_.command({"HSET", key_, "state", "busy", "current_job", job.id, "last_heartbeat", now});
    redis_.command({"EXPIRE", key_, fmt::format("{}", busy_ttl)});
    redis_.command({"EXEC"});
}

bool Worker::work() {
    if (horse_) return true;
    const auto job = next_job();
    if (!job) return false;
    begin(*job);
    const pid_t horse = fork();
    if (horse == 0) live_as_horse(options_.job_seconds);
    if (horse < 0) return false;
    setpgid(horse, horse);  // on both sides, so that neither has to wait for the other
    horse_ = horse;
    job_ = *job;
    fmt::print("job {} in horse {}\n", job_.id, horse);
    std::fflush(stdout);
    return true;
}

void Worker::horse_ended(pid_t pid, bool in_order) {
    if (horse_ != pid) return;
    horse_.reset();
    const auto member = job_.id + ":" + job_.execution;
    const auto state = in_order ? "finished" : "failed";
    redis_.command({"MULTI"});
    redis_.command({"HSET", "rq:job:" + job_.id, "status", state, "ended_at", utc_now()});
    redis_.command({"ZREM", "rq:wip:" + job_.queue, member});
    redis_.command({"DEL", "rq:execution:" + member, "rq:executions:" + job_.id});
    redis_.command({"ZADD", fmt::format("rq:{}:{}", state, job_.queue),
                    fmt::format("{}", time(nullptr) + 500), job_.id});
    redis_.command({"HINCRBY", key_, in_order ? "successful_job_count" : "failed_job_count", "1"});
    redis_.command({"HDEL", key_, "current_job"});
    redis_.command({"HSET", key_, "state", "idle"});
    redis_.command({"EXEC"});
}

}  // namespace muster::worker_stub
