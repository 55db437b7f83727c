#pragma once
// What an incarnation leaves behind, and its end. Its job and its name may be touched only when
// nothing of it is alive (I3, I6).
//
// Everything that a dead leader leaves behind is, or descends from, an orphan that we have adopted
// (we are PID 1 or a subreaper), so only the adopted orphans need a look, each once. Whose an
// orphan is, is told by
//   1. its session: RQ 2's work horse leaves the process group, but not the session;
//   2. the marks in its environment: RQ 1's horse calls setsid();
//   3. where it does not carry our instance's mark (setproctitle overwrites the environment, env -i
//      and another muster replace it) and its session is no living child's: it belongs to the
//      families that lost somebody in the very look that found it. Only by this rule can it belong
//      to more than one; then all of them wait for it.
// Where nobody was left, the check costs two system calls (F_SETOWN tells whether the leader's
// number is still in use as a session's or a group's).

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/id.h"
#include "base/time.h"
#include "base/unique_fd.h"
#include "child/reaper.h"

namespace muster::child {

enum class Ending : std::uint8_t {
    kill,   // TERM and CONT, a second, then KILL until nobody is left
    wait,   // until nobody is left
    leave,  // only tells whether somebody is left
};

struct Leader {           // a child that has been reaped
    std::uint64_t token;  // the caller's own; comes back with the news
    Pid pid;
    std::vector<std::string> marks;  // "KEY=value": all of them are in its family's environment
};

class Families {
public:
    using Ended = std::function<void(std::uint64_t token, bool somebody_is_left)>;

    // `ended` is called once for each end(), possibly before end() returns. `own_mark` is what all
    // our children have in their environment: "MUSTER_INSTANCE=…".
    Families(const Reaper& reaper, std::string own_mark, Ended ended);
    Families(const Families&) = delete;
    Families& operator=(const Families&) = delete;
    ~Families() = default;

    // Right after the look that reaped the leader (before the next reap()).
    void end(Leader leader, Ending how, TimePoint now);
    // No more patience: KILL, also where it is `wait`. Does nothing for a family that has ended.
    void hasten(std::uint64_t token, TimePoint now);

    // For each orphan that the reaper reports.
    void orphan_gone(Pid pid, TimePoint now);

    // Call pass() at next_deadline(); nothing while no family is being ended.
    [[nodiscard]] std::optional<TimePoint> next_deadline() const;
    void pass(TimePoint now);

    [[nodiscard]] std::size_t under_way() const { return endings_.size(); }

private:
    // What is known of an adopted orphan; read once, when it is first asked for.
    struct Origin {
        std::uint64_t first_look;
        pid_t session;
        std::vector<std::string> marks;
    };
    struct Member {
        std::uint64_t start_time;  // a recycled number has another
        bool is_adopted;           // the reaper will tell of its end, and nobody can recycle it
        UniqueFd pidfd;            // of those that are not adopted
    };
    using Members = std::unordered_map<pid_t, Member>;
    struct Underway {
        Leader leader;
        Ending how;
        int signal = 0;                     // what members get; 0: nothing
        TimePoint kill_at{};                // where the signal is TERM
        std::optional<TimePoint> deadline;  // of the next step or look
        Members members;
        std::size_t adopted = 0;            // of the members
        std::vector<std::uint64_t> losses;  // the looks that reaped the leader or a member (rule 3)
    };

    void rescan(std::uint64_t token, TimePoint now);
    void find_members(Underway& family);
    void add_tree(Underway& family, pid_t root, bool is_adopted, Members& before);
    void send(pid_t pid, const Member& member, int signal);
    void forget_members(const Underway& family);
    [[nodiscard]] bool belongs(const Origin& orphan, const Underway& family, bool is_session) const;
    [[nodiscard]] bool is_in_use(Pid number) const;
    const Origin& origin(pid_t orphan, std::uint64_t first_look);

    const Reaper& reaper_;
    std::string own_mark_;
    Ended ended_;
    UniqueFd probe_;  // a spare descriptor, for F_SETOWN
    std::unordered_map<pid_t, Origin> origins_;
    std::map<std::uint64_t, Underway> endings_;
    std::unordered_multimap<pid_t, std::uint64_t> waiting_for_;  // members, and for which family
};

}  // namespace muster::child
