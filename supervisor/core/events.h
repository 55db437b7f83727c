#pragma once
// Every fact that the core is told. All of them name an incarnation where they are about one: news
// about an earlier life (a late Redis reply, an old check) is dropped at the top of the machine.

#include <cstdint>
#include <string>
#include <variant>

#include "base/id.h"
#include "base/time.h"

namespace muster::core {

struct Exit {
    bool by_signal = false;
    int number = 0;  // exit code or signal
    friend bool operator==(const Exit&, const Exit&) = default;
};

enum class Renewal : std::uint8_t {
    rolled,
    too_old,
    too_big,
    far_too_big,  // at once, and without time to finish its work
};

struct StartWanted {};
struct StopWanted {};
struct RestartWanted {};
struct RenewalWanted {  // not by an operator: because it is old, big, or of yesterday's settings
    Incarnation who;
    Renewal why;
};
struct RecyclingWanted {  // a renewal, as soon as no other of its program is missing
    Incarnation who;
    Renewal why;
};
struct RetirementWanted {};  // for good: it may finish its work
struct StopHastened {};      // no more patience: KILL
struct NameClaimed {
    Incarnation who;
};
struct ClaimRefused {
    Incarnation who;
};
struct Spawned {
    Incarnation who;
};
struct SpawnFailed {
    Incarnation who;
    bool is_nobodys_fault;  // no pids or no memory just now: tried again, never counted
};
struct BecameReady {
    Incarnation who;
};
struct Unhealthy {  // it lives, and does not work
    Incarnation who;
};
struct ChildExited {
    Incarnation who;
    Exit how;
};
struct FamilyEnded {
    Incarnation who;
    bool somebody_is_left;  // orphans = "leave": then its job and its name are not touched
};
struct NameReleased {
    Incarnation who;
};

using ProcessEvent = std::variant<StartWanted,
                                  StopWanted,
                                  RestartWanted,
                                  RenewalWanted,
                                  RecyclingWanted,
                                  RetirementWanted,
                                  StopHastened,
                                  NameClaimed,
                                  ClaimRefused,
                                  Spawned,
                                  SpawnFailed,
                                  BecameReady,
                                  Unhealthy,
                                  ChildExited,
                                  FamilyEnded,
                                  NameReleased>;

struct Event {
    ProcessId process;
    ProcessEvent what;
};

// When an event is handled, and the random bits for it (0 <= dice < 1): the core has no clock and
// no chance of its own.
struct Moment {
    TimePoint now;
    double dice = 0.5;
    bool redis_is_away = false;
};

}  // namespace muster::core
