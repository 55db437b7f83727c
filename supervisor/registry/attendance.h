#pragma once
// Own workers that live: are they still registered, and do they work? One call for all each minute
// (redis.economy: each 5), or as often as a shorter missing_after asks for.
// Whoever fell out of the registry is put back; whoever cannot be, or stands still by the rules
// below, is told to be unhealthy. Time counts only while Redis is there: nobody is judged for its
// absence (I13).
//
//   seen                                   | unhealthy when
//   its name is held by another worker     | for missing_after
//   idle, and its heartbeat stands still   | for heartbeat_timeout, in three checks
//   busy, and its job has a timeout        | the job is in hand for 120 s longer than that
//   busy, and no timeout is known          | never: by age alone nobody is hung

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/id.h"
#include "base/time.h"
#include "loop/lifeline.h"
#include "loop/loop.h"
#include "loop/timer.h"
#include "registry/registry.h"
#include "registry/system.h"

namespace muster::registry {

struct AttendanceRule {
    Duration missing_after = std::chrono::seconds{60};
    Duration heartbeat_timeout = std::chrono::minutes{10};
    friend bool operator==(const AttendanceRule&, const AttendanceRule&) = default;
};

// What is remembered of one worker between two checks.
struct Attending {
    AttendanceRule rule;
    std::string heartbeat;  // as last seen
    TimePoint still_since;  // of the heartbeat
    int still_checks = 0;
    std::string job;  // in hand, as last seen
    TimePoint job_since;
    std::optional<TimePoint> foreign_since;
};

// How often one with this rule is looked at, where all are looked at each `interval`.
Duration looked_at_each(Duration interval, const AttendanceRule& rule);

// Takes in what was seen; answers why it is unhealthy, or "".
std::string judge(Attending& worker, const Presence& seen, TimePoint now);

struct AttendanceTools {
    std::function<void(RegistryKind, std::vector<Present>, System::CheckDone)> check;
    std::function<void(ProcessId, Incarnation, const std::string& name)> put_back;
    // Each time the answer changes; "" = healthy.
    std::function<void(ProcessId, Incarnation, const std::string& why)> judged;
};

class Attendance {
public:
    static constexpr std::size_t workers_a_call = 100;
    static constexpr Duration job_grace = std::chrono::seconds{120};
    static constexpr int most_still_checks = 3;

    Attendance(loop::Loop& loop, Duration interval, AttendanceTools tools);
    Attendance(const Attendance&) = delete;
    Attendance& operator=(const Attendance&) = delete;
    ~Attendance() = default;

    void add(ProcessId process,
             Incarnation incarnation,
             RegistryKind kind,
             Registration registration,
             AttendanceRule rule);
    void remove(ProcessId process);
    void connected();
    void disconnected();

private:
    struct Worker {
        Incarnation incarnation{0};
        RegistryKind kind = RegistryKind::none;
        Registration registration;
        Attending attending;
        std::optional<std::string> told;  // as judged last
    };
    void check();
    void answered(const std::vector<std::pair<ProcessId, Incarnation>>& asked,
                  const Result<std::vector<Presence>>& seen);
    void arm();
    void arm(TimePoint due);

    loop::Loop& loop_;
    Duration interval_;
    AttendanceTools tools_;
    std::map<ProcessId, Worker> workers_;
    bool is_connected_ = false;
    loop::Timer timer_;
    TimePoint due_{};  // the timer's
    loop::Lifeline lifeline_;
};

}  // namespace muster::registry
