#pragma once
// The registries as they stand: every worker, whose it is, whether it lives as far as anybody can
// tell, and why it is left. In pages: what is held of 100,000 workers is one page, and for a few
// seconds the names in the rolls.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
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

enum class Life : std::uint8_t {
    alive,    // something shows it
    stale,    // nothing does, and its key is missing: a sweep's business
    unknown,  // neither can be said
};
std::string_view life_word(Life life);

struct ListedWorker {
    std::string kind;
    std::string name;
    Life life = Life::unknown;
    std::string instance;  // in whose roll it is; "" = in nobody's
    std::string process;   // there
    std::string host;      // these four as it registered; "" = its key is missing
    std::string pid;
    std::string activity;  // "busy"
    std::string queues;
    std::string why;
};

struct WorkersPage {
    std::vector<ListedWorker> workers;
    std::string next;  // where the next page begins; "" = this was the last
};

struct PageWanted {
    std::string after = {};   // `next` of the page before; "" = the first
    std::size_t limit = 500;  // about so many; at most `most_a_page`
    bool only_stale = false;
};

// What is read of one worker's key, told apart from the asking so that it can be tested.
struct Evidence {
    std::int64_t key_left_ms = -2;  // -1: for ever, -2: there is no key
    Duration missing_for{};         // since the first look
    bool was_looked_at = false;
    bool has_died_in_order = false;
    bool has_signs = true;     // workers of this system show that they live, beside their keys
    Duration heartbeat_age{};  // by the server's clock; negative: unknown, or of a wrong clock
    Veto veto = Veto::none;
    bool is_ours = false;  // and lives
    const Owners::Instance* owner = nullptr;
    Duration apart{};  // between the two looks of a sweep
};
struct Judgement {
    Life life;
    std::string why;
};
Judgement judged(const Evidence& evidence);

class WorkerList {
public:
    static constexpr std::size_t most_a_page = 1000;
    static constexpr std::size_t most_waiting = 64;  // pages asked for at one time
    static constexpr Duration keeps_owners = std::chrono::seconds{10};

    struct Options {
        std::string prefix = "muster";
        std::string instance;  // ours
        Duration apart = std::chrono::seconds{60};
        // Name and process of each own worker that lives.
        std::function<std::unordered_map<std::string, std::string>()> ours;
    };
    using Done = std::function<void(Result<WorkersPage>)>;

    WorkerList(loop::Loop& loop,
               redis::Client& client,
               std::vector<MemberSets> systems,
               Options options);
    WorkerList(const WorkerList&) = delete;
    WorkerList& operator=(const WorkerList&) = delete;
    ~WorkerList() = default;

    // Answered once, never inside the call; one after the other.
    void page(PageWanted wanted, Done done);

private:
    struct Asked {
        PageWanted wanted;
        Done done;
        WorkersPage page;
        std::size_t system = 0;
        std::string cursor = "0";
        std::size_t scans = 0;
    };

    void next();
    void read();
    void take(const redis::Reply& reply);
    void with_vetoes(const redis::Reply& reply, const std::vector<Veto>& vetoes);
    void finish(Result<WorkersPage> page);
    [[nodiscard]] std::vector<std::string> fields() const;

    loop::Loop& loop_;
    redis::Client& client_;
    std::vector<MemberSets> systems_;
    Options options_;
    Owners owners_;
    std::vector<std::unique_ptr<Vetoes>> vetoes_;  // of each system
    std::unordered_map<std::string, std::string> ours_;
    std::deque<Asked> asked_;  // the first is under way
    loop::Timer forget_;
    loop::Lifeline lifeline_;
};

}  // namespace muster::registry
