#include "child/family.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <utility>

#include "child/proc.h"

namespace muster::child {

namespace {

using namespace std::chrono_literals;

constexpr Duration patience = 1s;         // between TERM and KILL
constexpr Duration between_looks = 50ms;  // at those of whose end nobody tells us

bool is_process(pid_t pid) {
    return ::kill(pid, 0) == 0 || errno == EPERM;
}

void signal_adopted(pid_t pid, int signal) {
    ::kill(pid, signal);  // it is ours to reap: its number can't be another's
}

void signal_stranger(pid_t pid, int pidfd, std::uint64_t start_time, int signal) {
    if (pidfd >= 0) {
        if (::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0) == 0) return;
        if (errno == ESRCH) return;
    }
    const auto stat = read_stat(pid);
    if (stat && stat->start_time == start_time) ::kill(pid, signal);
}

}  // namespace

Families::Families(const Reaper& reaper, std::string own_mark, Ended ended)
    : reaper_(reaper),
      own_mark_(std::move(own_mark)),
      ended_(std::move(ended)),
      probe_(::open("/dev/null", O_RDONLY | O_CLOEXEC)) {}

// Whether the number of a reaped leader still names a session or a group. F_SETOWN asks the kernel
// for exactly that, and fails with ESRCH where the number is nobody's. (Kernels before 4.13 never
// fail: then the answer comes from /proc.)
bool Families::is_in_use(Pid number) const {
    const bool is_free = ::fcntl(probe_.get(), F_SETOWN, number.value()) != 0 && errno == ESRCH;
    return !is_free;
}

void Families::end(Leader leader, Ending how, TimePoint now) {
    if (reaper_.orphans().empty() && !is_in_use(leader.pid)) {
        ended_(leader.token, false);
        return;
    }
    const std::uint64_t token = leader.token;
    Underway family{.leader = std::move(leader),
                    .how = how,
                    .signal = 0,
                    .kill_at = {},
                    .deadline = {},
                    .members = {},
                    .adopted = 0,
                    .losses = {reaper_.looks()}};
    if (how == Ending::leave) {
        find_members(family);
        const bool somebody_is_left = !family.members.empty();
        forget_members(family);
        ended_(token, somebody_is_left);
        return;
    }
    if (how == Ending::kill) {
        family.signal = SIGTERM;
        family.kill_at = now + patience;
    }
    endings_.insert_or_assign(token, std::move(family));
    rescan(token, now);
}

void Families::hasten(std::uint64_t token, TimePoint now) {
    const auto found = endings_.find(token);
    if (found == endings_.end() || found->second.signal == SIGKILL) return;
    Underway& family = found->second;
    family.signal = SIGKILL;
    family.deadline.reset();
    for (const auto& [pid, member] : family.members) send(pid, member, SIGKILL);
    rescan(token, now);
}

void Families::orphan_gone(Pid pid, TimePoint now) {
    origins_.erase(pid.value());
    const auto [first, last] = waiting_for_.equal_range(pid.value());
    if (first == last) return;
    std::vector<std::uint64_t> tokens;
    for (auto at = first; at != last; ++at) tokens.push_back(at->second);
    waiting_for_.erase(first, last);
    for (const std::uint64_t token : tokens) {
        const auto found = endings_.find(token);
        if (found == endings_.end()) continue;
        Underway& family = found->second;
        const auto member = family.members.find(pid.value());
        if (member == family.members.end()) continue;
        if (family.losses.empty() || family.losses.back() != reaper_.looks()) {
            family.losses.push_back(reaper_.looks());
        }
        if (member->second.is_adopted) --family.adopted;
        family.members.erase(member);
        // Only now, not at each: a storm of orphans would cost its square.
        if (family.adopted == 0) rescan(token, now);
    }
}

std::optional<TimePoint> Families::next_deadline() const {
    std::optional<TimePoint> next;
    for (const auto& [token, family] : endings_) {
        if (family.deadline && (!next || *family.deadline < *next)) next = family.deadline;
    }
    return next;
}

void Families::pass(TimePoint now) {
    std::vector<std::uint64_t> due;
    for (const auto& [token, family] : endings_) {
        if (family.deadline && *family.deadline <= now) due.push_back(token);
    }
    for (const std::uint64_t token : due) {
        const auto found = endings_.find(token);
        if (found == endings_.end()) continue;
        Underway& family = found->second;
        family.deadline.reset();
        if (family.signal == SIGTERM && now >= family.kill_at) {
            hasten(token, now);
        } else {
            rescan(token, now);
        }
    }
}

void Families::rescan(std::uint64_t token, TimePoint now) {
    Underway& family = endings_.at(token);
    find_members(family);
    if (family.members.empty()) {
        endings_.erase(token);
        ended_(token, false);
        return;
    }
    // Where nobody is left whose end the reaper would tell, we have to look again ourselves.
    family.deadline.reset();
    if (family.signal == SIGTERM) family.deadline = family.kill_at;
    if (family.adopted == 0) {
        const TimePoint next = now + between_looks;
        if (!family.deadline || next < *family.deadline) family.deadline = next;
    }
}

// Those that were members before keep their entry; new ones get the signal of the hour.
void Families::find_members(Underway& family) {
    forget_members(family);
    Members before = std::exchange(family.members, {});
    family.adopted = 0;
    // A process of the leader's number is another's leader: then the session is no proof.
    const bool is_session = is_in_use(family.leader.pid) && !is_process(family.leader.pid.value());
    for (const auto& [pid, orphan] : reaper_.orphans()) {
        if (before.contains(pid) || belongs(origin(pid, orphan.first_look), family, is_session)) {
            add_tree(family, pid, true, before);
        }
    }
    family.losses.clear();
    if (is_session && family.members.empty()) {
        // Somebody has the session, and no orphan explains it: ask everybody.
        for (const pid_t pid : all_pids()) {
            const auto stat = read_stat(pid);
            if (stat && !stat->is_dead() && stat->session == family.leader.pid.value()) {
                add_tree(family, pid, reaper_.orphans().contains(pid), before);
            }
        }
    }
    for (const auto& [pid, member] : family.members) {
        waiting_for_.emplace(pid, family.leader.token);
        if (member.is_adopted) ++family.adopted;
    }
}

void Families::add_tree(Underway& family, pid_t root, bool is_adopted, Members& before) {
    std::vector<pid_t> open{root};
    while (!open.empty()) {
        const pid_t pid = open.back();
        open.pop_back();
        if (family.members.contains(pid)) continue;
        const bool is_ours = pid == root ? is_adopted : reaper_.orphans().contains(pid);
        UniqueFd pidfd;
        if (!is_ours) pidfd = UniqueFd{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
        // Read after the pidfd was opened, so that both are about the same process.
        const auto stat = read_stat(pid);
        // A dead orphan counts until the reaper has reported it: its end may bring us more.
        const bool is_alive = stat && !stat->is_dead();
        if (!is_alive && !is_ours) continue;
        Member member{stat ? stat->start_time : 0, is_ours, std::move(pidfd)};
        const auto known = before.find(pid);
        const bool is_new = known == before.end() || known->second.start_time != member.start_time;
        if (is_new && family.signal != 0) send(pid, member, family.signal);
        family.members.emplace(pid, std::move(member));
        for (const pid_t child : children_of(pid)) open.push_back(child);
    }
}

void Families::send(pid_t pid, const Member& member, int signal) {
    const auto once = [&](int number) {
        if (member.is_adopted) {
            signal_adopted(pid, number);
        } else {
            signal_stranger(pid, member.pidfd.get(), member.start_time, number);
        }
    };
    once(signal);
    if (signal != SIGKILL) once(SIGCONT);  // a stopped one would not hear it
}

void Families::forget_members(const Underway& family) {
    for (const auto& [pid, member] : family.members) {
        const auto [first, last] = waiting_for_.equal_range(pid);
        const auto found = std::find_if(
            first, last, [&](const auto& entry) { return entry.second == family.leader.token; });
        if (found != last) waiting_for_.erase(found);
    }
}

bool Families::belongs(const Origin& orphan, const Underway& family, bool is_session) const {
    const auto carries = [&](const std::string& mark) {
        return std::find(orphan.marks.begin(), orphan.marks.end(), mark) != orphan.marks.end();
    };
    if (is_session && orphan.session == family.leader.pid.value()) return true;
    if (carries(own_mark_)) {
        const auto& marks = family.leader.marks;
        return std::all_of(marks.begin(), marks.end(), carries);
    }
    if (reaper_.knows(Pid{orphan.session})) return false;
    const auto& losses = family.losses;
    return std::find(losses.begin(), losses.end(), orphan.first_look) != losses.end();
}

const Families::Origin& Families::origin(pid_t orphan, std::uint64_t first_look) {
    const auto found = origins_.find(orphan);
    if (found != origins_.end() && found->second.first_look == first_look) return found->second;
    const auto stat = read_stat(orphan);
    const std::string_view prefix = std::string_view(own_mark_).substr(0, own_mark_.find('_') + 1);
    Origin read{first_look, stat ? stat->session : 0, read_environment(orphan, prefix)};
    return origins_.insert_or_assign(orphan, std::move(read)).first->second;
}

}  // namespace muster::child
