#pragma once
// muster's own record in Redis of who supervises which names: one lease per instance, by the
// server's TIME. Pure encoding, the scripts, and class Roll, which keeps this instance's part true.
//
// Keys (P = redis.prefix; times in ms of the server):
//   P:instances      zset   instance id -> when its lease is over
//   P:instance:<id>  hash   facts: service, host, version, started_at, lease_ms, place, programs …
//   P:roll:<id>      hash   given name -> JSON of one RollEntry; there from the spawn to the
//   release P:place:<place>  set    ids of the instances that live, or lived, in this place P:since
//   string since when muster's data is here: set anew when Redis was emptied P:settling:<id> string
//   who settles that dead instance P:looks:<kind>   hash   member -> first look at which it was
//   stale
//
// Whose entries may be released, and on what proof. Nothing in Redis proves a death (I4):
//
//   the worker is                       | looks       | and in the same script as the release
//   ours, reaped, its family ended      | none        | pid, host and birth match
//   of an instance of our own pid       | one         | as above, the entry is still in the roll,
//   and
//     namespace (or of one that is gone |             | nobody subscribes to its channel
//     for good: same container or       |             |
//     platform instance, both first in  |             |
//     their namespaces): its muster is  |             |
//     gone and nothing carries its mark |             |
//   of an instance whose lease is over  | two, 60 s   | the lease is still over, the entry still
//                                       |   apart     | there, the worker's own key is gone by its
//                                       |             | TTL, none of its jobs is being refreshed,
//                                       and |             | nobody subscribes
//   anything else                       | never       | left, and told why
//
// A lease that is over proves only that muster does not reach Redis. Its workers may live: cut off
// with it, stopped, or outliving it in a long job. So the registration of such a worker is left for
// as long as it exists; what the roll adds then are the facts that settle its job and its entries.
// Within the first lease after muster's data was emptied, and after our own (re)connection, no
// lease is believed to be over.

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "base/time.h"
#include "loop/lifeline.h"
#include "loop/loop.h"
#include "loop/prepare.h"
#include "loop/timer.h"
#include "redis/client.h"
#include "registry/registry.h"

namespace muster::registry {

// Where an instance lives, as far as the kernel and the platform tell. Texts to compare; "" =
// unknown, equal to nothing.
struct Place {
    std::string pid_namespace;      // boot id and inode: the same text = the same namespace, or one
                                    // that is gone
    std::string container;          // writable layer, pod and container, or the platform's instance
    bool is_first = false;          // pid 1 of its namespace: all that it started dies with it
    pid_t pid = 0;                  // of muster, in that namespace
    std::uint64_t start_ticks = 0;  // of that pid
    uid_t uid = 0;                  // as whom muster runs
    friend bool operator==(const Place&, const Place&) = default;
};

struct ProgramFacts {
    std::string name;
    std::string kind;  // "rq", …, "none"
    std::uint32_t processes = 1;
    friend bool operator==(const ProgramFacts&, const ProgramFacts&) = default;
};

struct InstanceFacts {
    std::string id;
    std::string service;
    std::string host;
    std::string version;
    WallTime started_at;
    Duration lease{};
    Place place;
    std::vector<ProgramFacts> programs;
    Duration lease_left{};      // as read, by the server's clock; <= 0: over
    std::uint64_t workers = 0;  // as read: entries in its roll
};

struct RollEntry {
    std::string given;  // the name that muster gave: the key of the entry
    std::string name;   // as registered; the same unless the worker chose its own
    std::string kind;   // "rq", …
    std::string process;
    std::string program;
    Incarnation incarnation{0};
    pid_t pid = 0;  // of the incarnation's leader
    std::uint64_t start_ticks = 0;
    std::string host;
    WallTime spawned_at;
    // Once the registration is known:
    std::string registered_pid;  // another's than the leader's where a wrapper started the worker
    std::string birth;           // "" = not seen in the registry yet
    std::vector<std::string> queues;
    std::string version;  // of the job system
    core::Jobs jobs = core::Jobs::hand_back;
    Poison poison;
    std::optional<CustomEntry> custom = {};  // just of kind "custom"
    std::string value;  // as read from the roll: it is settled only while it still stands so there
    friend bool operator==(const RollEntry&, const RollEntry&) = default;
};

std::string encode(const RollEntry& entry);
std::optional<RollEntry> decode_entry(std::string_view given, std::string_view json);

using InstancesRead = std::function<void(Result<std::vector<InstanceFacts>>)>;
using RollRead = std::function<void(Result<std::vector<RollEntry>>)>;

// Both in pages, so that no call holds Redis for more than a few milliseconds. For commands without
// a Roll of their own (`muster sweep`) too; `client` outlives the call.
void read_instances(redis::Client& client, const std::string& prefix, InstancesRead done);
void read_roll(redis::Client& client,
               const std::string& prefix,
               const std::string& id,
               RollRead done);

// Of one that is not there everything but the id is empty.
using InstanceRead = std::function<void(Result<InstanceFacts>)>;
void read_instance(redis::Client& client,
                   const std::string& prefix,
                   const std::string& id,
                   InstanceRead done);

// Those that live, or lived, in this place.
void read_instances_of(redis::Client& client,
                       const std::string& prefix,
                       const Place& place,
                       InstancesRead done);
std::vector<std::string> place_keys(const std::string& prefix, const Place& place);

struct RollEvents {
    // The lease has been renewed, and these instances' leases are over.
    std::function<void(const std::vector<std::string>& over)> renewed;
    std::function<void()> was_forgotten;  // Redis was emptied, or others have settled us
    std::function<void(const Error&)> trouble;
};

// This instance's part: its lease, renewed each third of it, and its entries. All changes of a turn
// go in one script, which renews too; a settled fleet costs one command each third of a lease.
class Roll {
public:
    Roll(loop::Loop& loop,
         redis::Client& client,
         std::string prefix,
         InstanceFacts me,
         RollEvents events);
    Roll(const Roll&) = delete;
    Roll& operator=(const Roll&) = delete;
    ~Roll() = default;

    void put(const RollEntry& entry);  // right after the spawn
    void registered(const std::string& given, const Registration& as);
    void remove(const std::string& given);  // its release has been confirmed

    void connected();
    void disconnected();
    // At the end: an empty roll goes with its instance; what is left in it is others' to settle.
    void leave(std::function<void()> done);

    // We have been connected, and the data has been there, for a whole lease.
    [[nodiscard]] bool may_judge() const;
    [[nodiscard]] const InstanceFacts& me() const { return me_; }
    [[nodiscard]] std::size_t size() const { return entries_.size(); }

private:
    void send();
    void sent(const Result<redis::Reply>& reply);
    [[nodiscard]] std::vector<std::string> keys() const;

    loop::Loop& loop_;
    redis::Client& client_;
    std::string prefix_;
    InstanceFacts me_;
    RollEvents events_;
    std::map<std::string, std::string> entries_;  // as encoded, for the next time all are sent
    std::set<std::string> changed_;
    std::set<std::string> gone_;
    std::optional<TimePoint> connected_at_;
    std::uint64_t connection_ = 0;
    Duration data_age_{};
    bool is_known_ = false;  // what Redis has of us is what we sent
    bool is_sending_ = false;
    bool has_left_ = false;
    loop::Timer renewal_;
    loop::Prepare turn_;
    loop::Lifeline lifeline_;
};

}  // namespace muster::registry
