#pragma once
// What operators ask of the registries and of the roll. control/ knows the words, daemon/ hands in
// the functions.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/time.h"

namespace muster::control {

struct ApiError;

struct WorkerView {
    std::string kind;  // "rq"
    std::string name;
    std::string_view state;  // "alive", "stale" or "unknown"
    std::string instance;    // in whose roll it is; "" = null
    std::string process;
    std::string host;  // these four as registered; "" = null
    std::string pid;
    std::string activity;
    std::string queues;
    std::string why;
};

struct WorkersPage {
    std::vector<WorkerView> workers;
    std::string next;  // where the next page begins; "" = null: this was the last
};

struct WorkersQuery {
    std::string after;  // `next` of the page before
    std::size_t limit = 500;
    bool only_stale = false;
};

struct InstanceView {
    struct Program {
        std::string name;
        std::string kind;  // "rq", "none"
        std::uint32_t processes = 1;
    };
    std::string id;
    std::string service;
    std::string host;
    std::string version;
    WallTime started_at;
    Duration lease_left{};  // not above 0: over, the instance is dead or cut off
    std::uint64_t workers = 0;
    std::vector<Program> programs;
};

struct StaleView {
    std::string name;
    std::string set;
    std::string_view fate;  // "removed", "due", "waiting" or "left"
    Duration due_in{};
    std::string why;
};

struct SweepView {
    static constexpr std::size_t most_entries = 1000;  // of an answer over HTTP

    bool applied = false;
    std::uint64_t seen = 0;
    std::uint64_t stale = 0;
    std::uint64_t removed = 0;
    std::uint64_t due = 0;
    std::uint64_t waiting = 0;
    std::uint64_t left = 0;
    Duration next_due{};  // waiting: until the last of them may go
    std::string blind_spot;
    std::vector<StaleView> entries;  // as many as are shown; `stale` counts all
};

template <class T>
using Answered = std::function<void(std::variant<T, ApiError>)>;

struct RegistryBackend {
    std::function<void(WorkersQuery, Answered<WorkersPage>)> workers;
    std::function<void(Answered<std::vector<InstanceView>>)> fleet;
    std::function<void(bool applies, Answered<SweepView>)> sweep;
};

}  // namespace muster::control
