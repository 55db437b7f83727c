#pragma once
// The child's side of a spawn, for spawn.cc alone.

#include <sys/types.h>

#include <cstddef>
#include <cstdint>

#include "child/child_plan.h"
#include "child/pid1.h"
#include "child/spawn.h"

namespace muster::child {

// Descriptors that the child needs are below this; it does not take on the others.
inline constexpr unsigned slots_end = 16;
inline constexpr unsigned unshare_table = 1U << 1;  // CLOSE_RANGE_UNSHARE

// What the child writes when it fails.
struct Failure {
    pid_t pid;
    Stage stage;
    int error;
    std::uint32_t candidate;
};

struct Launch {
    ChildPlan& plan;
    pid_t parent;
    bool shares_table;
    int input;
    int output;  // -1: inherit
    int errors;
    int failures;
    const FileLimit* files;
    const int* ignored_signals;
    std::size_t ignored_count;
};

// The function for clone. It shares our memory and must leave it as it was: plain system calls
// only; no allocation, no lock, no log.
int run_child(void* launch) noexcept;

}  // namespace muster::child
