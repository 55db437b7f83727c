#pragma once
// Signs of life that Redis shows beside a worker's key. Each is a veto: "something of it lives, do
// nothing". None of them is ever a proof of death: after a dropped connection a live worker may
// show neither.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/result.h"
#include "loop/lifeline.h"
#include "redis/client.h"

namespace muster::registry {

enum class Veto : std::uint8_t {
    none,
    subscribed,  // somebody listens on its channel
    connected,   // a connection bears its name
    unseen,      // Redis does not let us look (ACL): no less a veto
};

std::string sign_of(Veto veto);  // for people; "" = none

// How the workers of a job system show that they live.
struct LifeSigns {
    std::string channel_prefix;      // of the channel that each listens on; "" = on none
    bool names_connections = false;  // after the worker
};

class Vetoes {
public:
    static constexpr std::size_t names_a_call = 500;    // below 0.2 ms
    static constexpr std::int64_t most_clients = 2000;  // CLIENT LIST costs Redis 2 us for each

    // For each name, in their order.
    using Answer = std::function<void(Result<std::vector<Veto>>)>;

    Vetoes(redis::Client& client, LifeSigns signs);
    Vetoes(const Vetoes&) = delete;
    Vetoes& operator=(const Vetoes&) = delete;
    ~Vetoes() = default;

    void ask(std::vector<std::string> names, Answer answer);
    // The names of connections are read once, by the first question after this.
    void start_anew();
    // What Redis has refused to show since then, as a sentence with what to do; "" = nothing.
    [[nodiscard]] const std::string& blind_spot() const { return blind_spot_; }

private:
    struct Question;
    void count_clients(const std::shared_ptr<Question>& question);
    void list_clients(const std::shared_ptr<Question>& question);
    void count_subscribers(const std::shared_ptr<Question>& question);
    void take_counts(Question& question,
                     std::size_t first,
                     std::size_t end,
                     const Result<redis::Reply>& reply);
    void take_clients(const std::string& list);

    redis::Client& client_;
    LifeSigns signs_;
    bool has_read_connections_ = false;
    std::unordered_set<std::string> connections_;
    std::string blind_spot_;
    loop::Lifeline lifeline_;
};

}  // namespace muster::registry
