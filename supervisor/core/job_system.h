#pragma once
// The job systems that muster knows, and what is different about each: plain data. What is said of
// a worker's death is registry/'s.

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/id.h"
#include "core/policy.h"

namespace muster::core {

enum class RegistryKind : std::uint8_t {
    none,
    rq,
    sidekiq,
    resque,
    dramatiq,
    celery,
    bullmq,
    custom,  // home-made: sets and keys by patterns in the file
    arq,
    huey,
    bee_queue,
    node_resque,
};

struct Traits {
    std::string_view word = {};  // as the file has it
    std::string_view name_template = "{program}-{host}-{pid}-{time}-{rand}";
    std::span<const StopStep> stop = {};      // never empty; KILL is the last
    std::optional<SignalNumber> quiet = {};   // take no new jobs; absent: it cannot
    std::optional<SignalNumber> resume = {};  // absent: only a restart undoes quiet
    bool can_be_seen = false;    // Redis holds an entry for a live worker: ready = "registered"
    bool can_hand_back = false;  // a dead worker's job can be given to the system's retry rules
    std::string_view left_alone = {};  // what stays in Redis after a death, and why; "" = nothing
    // The lists and sorted sets in which a queue's jobs wait, together the queue; * stands for its
    // name. None: nobody knows them.
    std::span<const std::string_view> queue_keys = {};
};

// One for every kind, also for those that this version does not support.
const Traits& traits(RegistryKind kind);

}  // namespace muster::core
