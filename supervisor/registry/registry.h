#pragma once
// What a job system must be told: plain data. Who tells it: system.h.

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "base/time.h"
#include "core/job_system.h"
#include "core/policy.h"

namespace muster::registry {

using core::RegistryKind;

// What the registry holds of one live worker, as it was read: exactly these values must match
// before it is removed.
struct Registration {
    std::string name;
    std::string pid;  // as text: compared, not computed with
    std::string hostname;
    std::string birth;
    std::vector<std::string> queues;
    std::string version;  // of the job system
    friend bool operator==(const Registration&, const Registration&) = default;
};

// What a home-made worker keeps of itself in Redis, filled for one life (config::CustomRegistry).
struct CustomEntry {
    std::string set;  // a set or a sorted set; "" = none
    std::string member;
    std::string key;                                          // "" = none
    std::vector<std::pair<std::string, std::string>> fields;  // that the key, a hash, must hold
    friend bool operator==(const CustomEntry&, const CustomEntry&) = default;
};

// A live own worker, as it registered, and its heartbeat as last seen ("" = not seen yet).
struct Present {
    Registration registration;
    std::string heartbeat;
};

// What the registry shows of it.
struct Presence {
    enum class State : std::uint8_t {
        here,
        put_back,  // it had fallen out
        foreign,   // its name is another's
        ended,     // it has ended in order: its exit is on the way
    };
    State state = State::here;
    std::string heartbeat = {};
    std::string status = {};  // the job system's own word: "idle", "busy" …
    std::string job = {};     // in hand; "" = none
    std::optional<Duration> job_timeout = {};
};

// Whom we are looking for: the name that we gave, and the process that we spawned.
struct Sought {
    ProcessId process;
    Incarnation incarnation;
    std::string name;  // as given; the worker may have chosen another
    Pid pid;           // of the incarnation's leader
    WallTime spawned_at;
    bool may_choose_own_name;  // the command does not carry {name}: look by host and pid too
    RegistryKind kind = RegistryKind::rq;
    std::optional<CustomEntry> custom = std::nullopt;  // just with RegistryKind::custom
    // Nobody else ever bears it, so its bearer's birth tells nothing: its clock may be wrong.
    bool is_name_unique = false;
};

// Whence it is known that a worker is dead: the table is in roll.h.
enum class Proof : std::uint8_t {
    reaped,      // ours, and its family has ended
    same_place,  // of an earlier life in our place: nothing of it is alive here
    lease_over,  // of an instance that is not heard of: the script asks for more
};

// Of a settlement: whose entry in the roll it is, and how it stood there.
struct Estate {
    std::string instance;
    std::string given;
    std::string value;
};

using core::Poison;

// A death that is proved and still to be told.
struct Release {
    ProcessId process;
    Incarnation incarnation;
    std::string name;
    Pid pid;
    std::string hostname;
    WallTime spawned_at;
    std::optional<Registration> registration;  // absent: it died before it was seen in the registry
    core::Jobs jobs = core::Jobs::hand_back;   // what with its job in flight
    bool may_choose_own_name = false;          // with no registration: look by host and pid too
    RegistryKind kind = RegistryKind::rq;
    std::optional<CustomEntry> custom = std::nullopt;  // just with RegistryKind::custom
    Proof proof = Proof::reaped;
    std::optional<Estate> estate = {};  // of all but Proof::reaped
    Poison poison = {.deaths = 0};      // 0: this death is no job's fault
    std::string death = {};             // what this death is called, over all instances
    std::string reason = {};            // how it died, for people: "killed by signal 9 (KILL)"
    bool is_name_unique = false;        // Sought
};

struct Released {
    enum class Verdict : std::uint8_t {
        removed,         // its entries are gone now
        nothing_there,   // it had none, or ended in order
        zombie_removed,  // only a work horse's scrap was left
        mismatch,        // the name belongs to somebody else: nothing was touched
        told,            // nothing was removed: the job system's own recovery does, and was told to
        left,            // nothing was touched: there is nothing that may be
        // Only of a settlement; nothing was touched:
        alive,   // something of it lives, or may
        looked,  // it was seen stale, and will be looked at again
        taken,   // it is not (or no more) ours to settle
    };
    Verdict verdict = Verdict::nothing_there;
    std::vector<std::string>
        handed_back;  // ids of the jobs that the job system will now retry or fail by its own rules
    std::vector<std::string> failed = {};  // and of those that it will fail, whatever their rules
    std::string detail;                    // for the log line
};

}  // namespace muster::registry
