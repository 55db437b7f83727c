#pragma once
// Who answers on a connection, and from which data. Asked once on each connection, before anything
// else: nothing may be decided from a replica, or while what Redis lost may still be on its way
// back.
//
// The dataset is told by a marker of muster's own, the hash <prefix>:dataset {id, made_at, seen_at}
// (times: ms of the server's clock). Where it is gone, the data was emptied, and the first to see
// that makes a new one. Writing it shows, too, that this Redis takes writes.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "redis/reply.h"

namespace muster::redis {

struct Session {
    std::string version;  // "7.0.15"; "" = not told
    std::string run_id;   // of this life of the server; "" = not told (INFO refused)
    bool is_master = true;
    std::string dataset;          // the marker's id; "" = not told (a refused command)
    bool is_new_dataset = false;  // made just now, or another one than on the connection before
    // Since when one and the same server has answered from one and the same data.
    TimePoint steady_since{};
};

// What the answers to the questions say. They are asked in this order; an error where nullopt.
std::vector<std::string> dataset_question(const std::string& key, const std::string& new_id);
struct Dataset {
    std::string id;
    std::chrono::milliseconds age{0};  // by the server's clock
    bool is_new = false;               // made by this question
};
std::optional<Dataset> read_dataset(const Reply& reply, const std::string& new_id);

struct Greeting {
    std::string version;
    bool is_master = true;
};
std::optional<Greeting> read_hello(const Reply& reply);               // HELLO, since Redis 6
std::optional<bool> read_role(const Reply& reply);                    // ROLE: is it the master?
std::optional<bool> read_info_replication(const Reply& reply);        // INFO replication, the same
std::string info_value(std::string_view info, std::string_view key);  // "" where it is not there

// The session of a new connection, or of a new look at the same one, judged by the one before.
Session judged(Session fresh,
               const std::optional<Dataset>& dataset,
               const std::optional<Session>& before,
               TimePoint now);

}  // namespace muster::redis
