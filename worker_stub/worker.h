#pragma once
// One RQ worker as Redis sees it: its registration, its heartbeats, its jobs.

#include <sys/types.h>

#include <optional>
#include <string>

#include "options.h"
#include "redis.h"

namespace muster::worker_stub {

class Worker {
public:
    Worker(const Options& options, Redis redis);

    // False: a live worker has the name already; nothing was written.
    bool register_birth(std::string& complaint);
    void register_death();
    void heartbeat();

    // RQ's maintenance, which it does at its start: jobs whose in-flight entry is over are retried
    // or failed.
    void clean_registries();

    // Forks a horse for the next job, if there is one and none runs. True while one runs.
    bool work();
    // Call it when a child ended.
    void horse_ended(pid_t pid, bool in_order);
    [[nodiscard]] std::optional<pid_t> horse() const { return horse_; }

private:
    struct Job {
        std::string id;
        std::string queue;
        std::string execution;
    };
    std::optional<Job> next_job();
    void begin(const Job& job);
    void set_state(const std::string& state);

    const Options& options_;
    Redis redis_;
    std::string key_;
    std::optional<pid_t> horse_;
    Job job_;
    bool made_one_ = false;
};

std::string random_hex(int digits);

}  // namespace muster::worker_stub
