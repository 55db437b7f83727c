#pragma once
// One pass over the registrations of one job system: finds members whose key is missing, and
// removes those for which it was missing at two looks, with nothing that speaks against it. In
// pages; each is decided by a script, so that no call holds Redis for more than a few milliseconds.
//
// A dry pass writes the looks and nothing else.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "loop/lifeline.h"
#include "loop/loop.h"
#include "loop/timer.h"
#include "redis/client.h"
#include "registry/member_sets.h"
#include "registry/owners.h"
#include "registry/vetoes.h"

namespace muster::registry {

enum class Fate : std::uint8_t {
    removed,
    due,      // an applied sweep would remove it now
    waiting,  // for the second look
    left,     // something speaks for its life, or it changed at the last moment
};

std::string_view fate_word(Fate fate);

// A member whose key is missing.
struct Stale {
    std::string name;
    std::string set;  // where it was found
    Fate fate = Fate::waiting;
    Duration due_in{};  // waiting: until the second look
    std::string why;
};

struct SweepReport {
    std::uint64_t seen = 0;  // members, of all sets
    std::uint64_t stale = 0;
    std::uint64_t removed = 0;
    std::uint64_t due = 0;
    std::uint64_t waiting = 0;
    std::uint64_t left = 0;
    Duration next_due{};     // waiting: until the last of them may go
    std::string blind_spot;  // what Redis refused to show; "" = nothing
};

struct PassOptions {
    std::string prefix = "muster";
    bool applies = false;
    std::string owner;  // of the lease, with `applies`
    Duration lease = std::chrono::seconds{30};
    Duration apart = std::chrono::seconds{60};  // between the two looks; never less in earnest
    // How many of Redis' keys are looked through for sets of queues that nothing else names; the
    // rest is looked through by the next pass.
    std::size_t keys_searched = 4000;
    // Asked before each page; an Error ends the pass.
    std::function<Outcome()> may_go_on;
    std::unordered_set<std::string> ours;  // names of our own workers that live
};

class SweepPass {
public:
    static constexpr std::size_t members_a_page = 500;
    static constexpr std::size_t sets_a_page = 50;
    static constexpr std::size_t most_sets = 20'000;
    static constexpr Duration long_page = std::chrono::milliseconds{2};
    static constexpr Duration longest_pause = std::chrono::milliseconds{100};
    static constexpr Duration looks_are_kept = std::chrono::minutes{10};

    using Each = std::function<void(const Stale&)>;  // may be empty
    using Done = std::function<void(Result<SweepReport>)>;

    // `search` is kept by the owner from pass to pass: where the search for sets goes on.
    SweepPass(loop::Loop& loop,
              redis::Client& client,
              const MemberSets& sets,
              PassOptions options,
              std::string& search);
    SweepPass(const SweepPass&) = delete;
    SweepPass& operator=(const SweepPass&) = delete;
    ~SweepPass() = default;

    // Once. `done` may destroy the pass.
    void start(Each each, Done done);

private:
    struct Member {
        std::string member;
        std::string name;
        std::size_t set;  // in sets_
        Duration age;     // of the first look
    };

    void read_queues(const std::string& cursor);
    void search_sets();
    void know_set(std::string key);
    void next_page();
    void look();
    void looked(const redis::Reply& reply);
    void ask_vetoes(std::vector<Member> page);
    void judge(std::vector<Member>& page, const std::vector<Veto>& vetoes);
    void remove(std::vector<Member> members);
    void removed(const std::vector<Member>& members, const redis::Reply& reply);
    void forget_looks(const std::string& cursor);
    void tell(const Member& member, Fate fate, std::string why);
    [[nodiscard]] std::string why_left(const Member& member, Veto veto) const;
    [[nodiscard]] std::vector<std::string> first_keys() const;
    [[nodiscard]] std::string owner() const { return options_.applies ? options_.owner : ""; }
    [[nodiscard]] std::string lease() const;
    void fail(const Error& error);
    void finish();

    loop::Loop& loop_;
    redis::Client& client_;
    MemberSets members_;
    PassOptions options_;
    std::string& search_;
    std::size_t left_to_search_;
    Vetoes vetoes_;
    Owners owners_;
    Each each_;
    Done done_;
    SweepReport report_;
    std::vector<std::string> sets_;  // the set of all first
    std::unordered_set<std::string> known_sets_;
    std::size_t at_ = 0;  // the set whose page is next
    std::string cursor_ = "0";
    bool has_asked_ = false;  // for vetoes: what is asked once a pass has been read
    TimePoint page_began_;
    loop::Timer pause_;
    loop::Lifeline lifeline_;
};

}  // namespace muster::registry
