#pragma once
// What a program that may be PID 1 does before anything else. main calls these in this order, each
// once.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace muster::child {

// The first statement of main: no signal is lost, none kills us, while we are not ready for it.
// But for ABRT, which asks for just that.
void block_all_signals();

// A closed 0, 1 or 2 becomes /dev/null, so that no file of ours is ever taken for stdout.
void open_closed_stdio();

// In the static binary users, groups and hosts are looked up in /etc and by DNS alone. Left to
// itself, glibc loads the modules that the machine's nsswitch.conf names, and their thread-local
// data is only there for the thread that loaded them: with `passwd: files systemd` the first reload
// with a `user` was our end (seen with glibc 2.36; __nss_configure_lookup is of its nss.h). Does
// nothing in a binary that is linked dynamically.
void look_names_up_without_modules();

// Orphans of our children come to us. PID 1 gets them without asking.
Outcome become_subreaper();

struct FileLimit {
    std::uint64_t soft;
    std::uint64_t hard;
};
// Raises our own soft limit of open files (to the hard one, at most 65536): each child costs us a
// few. Returns what it was: children get that back (a large limit makes some programs slow).
// Nothing where it was not changed.
std::optional<FileLimit> raise_file_limit();
// Refused where even after that muster may open fewer files than it needs for itself.
Outcome check_file_limit();

// Room for the descriptors of so many children, while the table of them is this thread's alone.
// Later it is shared, with the second thread and with each child until its exec, and each doubling
// then waits for all processors (synchronize_rcu in the kernel's expand_fdtable; seen with
// Linux 6.18: 30 of 110 ms that 1000 spawns take). Without it everything goes on, only more slowly.
void make_room_for_files(std::size_t children);

// Once everything has been started: lets go of our code's pages, since what only the start-up ran
// (the command line, the configuration) needs no memory while we supervise, and of what the start
// of many has left free on the heap. What is called again comes back from the page cache.
// Worth 1.5 MiB of RSS in a static binary.
void let_go_of_startup();

// Runs the program on a second thread while the thread-group leader only waits for it, and returns
// what it returned. Why: the kernel puts adopted orphans on the leader's list of children, and
// children that we make on the list of the thread that made them. So the leader's
// /proc/self/task/<tid>/children names exactly the adopted orphans, and a look at it costs
// O(orphans), however many children there are. Signals stay blocked in both threads.
int run_beside_leader(const std::function<int()>& program);

// At the very end, as PID 1: whoever is still there gets TERM, a moment, and KILL, and is reaped.
// Waits for them; does nothing where we are not PID 1.
void end_everybody();

// The same program again in this process, with the limit of open files that it was given; one that
// was installed over it since. `words` is its command line. Only comes back to say why not.
Error begin_anew(std::vector<std::string> words, const std::optional<FileLimit>& files);

}  // namespace muster::child
