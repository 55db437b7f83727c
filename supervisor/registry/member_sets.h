#pragma once
// Where a job system lists its workers: plain data for the sweep and for listings.

#include <optional>
#include <string>

#include "registry/registry.h"
#include "registry/vetoes.h"

namespace muster::registry {

// A set of all workers, perhaps one more for each queue; a member leads to the worker's key. A
// member whose key is missing is what a sweep is about.
struct MemberSets {
    RegistryKind kind = RegistryKind::none;
    std::string word;          // as the file has it; names the looks, too
    std::string all;           // the set of all: "rq:workers"
    std::string queue_sets;    // what a queue's own set begins with: "rq:workers:"; "" = none
    std::string queues;        // the set of queues, "rq:queues", and what its members begin with,
    std::string queue_prefix;  // "rq:queue:"; "" = none
    std::string begins;        // of a member, before the worker's name: "rq:worker:"
    std::string key_prefix;    // what stands before a member in its key; "" = the member is the key
    LifeSigns signs;
};

// Absent: the system has no such sets, or what is left in them is its own affair (Resque).
std::optional<MemberSets> member_sets(RegistryKind kind);

}  // namespace muster::registry
