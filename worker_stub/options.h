#pragma once
// What the stub is asked to do on its command line.

#include <optional>
#include <string>
#include <vector>

namespace muster::worker_stub {

enum class Orphan { none, group, session };

struct Options {
    std::string name;  // default: a random one, as RQ does it
    std::vector<std::string> queues{"default"};
    std::string redis_url;  // "" = no Redis at all
    std::string version = "2.3.3";
    int worker_ttl = 420;  // seconds
    bool registers = true;

    bool works = false;        // takes jobs from its queues
    bool makes_a_job = false;  // and makes one up where there is none
    double job_seconds = 0;    // how long its horse takes for each; 0 = for ever

    std::optional<int> exit_code;        // ends at once, in order
    std::optional<double> crash_after;   // ends by SIGKILL: nothing is tidied up
    bool ignores_term = false;           // goes on working
    bool hangs = false;                  // does nothing any more, not even its heartbeats
    Orphan orphan = Orphan::none;        // leaves a child behind
    bool orphan_ignores_term = false;    // which hears KILL only
    std::optional<int> grow_megabytes;   // touches so much memory
    std::optional<long> flooding_lines;  // writes so many numbered lines to stdout
    bool help = false;
};

struct Parsed {
    Options options;
    std::string complaint;  // "" = none
};

Parsed parse(const std::vector<std::string>& arguments);
std::string usage();

}  // namespace muster::worker_stub
