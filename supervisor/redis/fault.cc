#include "redis/fault.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace muster::redis {
namespace {

struct Row {
    std::string_view begins;
    Fault fault;
    std::string_view hint;
};

constexpr std::string_view password_hint =
    "correct user and password in redis.url or redis.url_file";
constexpr std::string_view cluster_hint =
    "this is a Redis Cluster; the registries of job systems live in one Redis, or behind Sentinel";

// The first that fits.
constexpr std::array rows{
    Row{"LOADING", Fault::later, "Redis is reading its data from disk; it will answer by itself"},
    Row{"READONLY", Fault::elsewhere,
        "this is a replica; name the master in redis.url, or let redis+sentinel:// find it"},
    Row{"MASTERDOWN", Fault::elsewhere,
        "this is a replica that has lost its master; name the master in redis.url"},
    Row{"MISCONF", Fault::later,
        "Redis cannot save its data and refuses writes; its own log says why (often a full disk)"},
    Row{"OOM", Fault::later,
        "Redis has reached its maxmemory and refuses writes; raise it, or delete what fills it"},
    Row{"NOREPLICAS", Fault::later, "Redis refuses writes until enough replicas are there"},
    Row{"BUSY ", Fault::later, "a script runs too long in Redis; SCRIPT KILL ends it"},
    Row{"UNKILLABLE", Fault::later, "a script runs too long in Redis"},
    Row{"CLUSTERDOWN", Fault::later, cluster_hint},
    Row{"TRYAGAIN", Fault::later, cluster_hint},
    Row{"ERR max number of clients", Fault::later,
        "raise maxclients of Redis, or find out who holds so many connections"},
    Row{"MOVED ", Fault::misconfigured, cluster_hint},
    Row{"ASK ", Fault::misconfigured, cluster_hint},
    Row{"CROSSSLOT", Fault::misconfigured, cluster_hint},
    Row{"NOAUTH", Fault::misconfigured,
        "put the password into the Redis URL: redis://:password@host"},
    Row{"WRONGPASS", Fault::misconfigured, password_hint},
    Row{"ERR invalid password", Fault::misconfigured, password_hint},
    Row{"ERR Client sent AUTH", Fault::misconfigured, "take the password out of the Redis URL"},
    Row{"ERR AUTH <password> called", Fault::misconfigured,
        "take the password out of the Redis URL"},
    Row{"DENIED", Fault::misconfigured, "Redis runs in protected mode: set a password there"},
    Row{"NOPERM", Fault::refused, "muster check --connect names the ACL rule that is missing"},
    Row{"ERR ACL failure", Fault::refused,
        "muster check --connect names the ACL rule that is missing"},
    Row{"ERR The user executing the script", Fault::refused,
        "muster check --connect names the ACL rule that is missing"},
    Row{"ERR unknown command", Fault::refused, "this Redis does not have that command"},
    Row{"ERR Unknown Redis command called from script", Fault::refused,
        "this Redis does not have that command"},
};

// Redis 7 appends where in the script it happened; older ones put it before: "ERR Error running
// script (call to f_…): @user_script:3: -OOM command not allowed …", "… @user_script: 3: Unknown
// …".
std::string_view seen_through(std::string_view text) {
    if (!text.starts_with("ERR Error running script") && !text.starts_with("ERR user_script"))
        return text;
    const auto place = text.find("user_script:");
    if (place == std::string_view::npos) return text;
    auto rest = text.substr(place + std::string_view{"user_script:"}.size());
    const auto colon = rest.find(':');
    if (colon == std::string_view::npos) return text;
    rest.remove_prefix(colon + 1);
    rest.remove_prefix(std::min(rest.find_first_not_of(" -"), rest.size()));
    return rest;
}

const Row* row_of(std::string_view text) {
    const std::string_view inner = seen_through(text);
    const auto* const found = std::find_if(rows.begin(), rows.end(), [&](const Row& row) {
        const auto bare = row.begins.starts_with("ERR ") ? row.begins.substr(4) : row.begins;
        return inner.starts_with(row.begins) ||
               (inner.size() != text.size() && inner.starts_with(bare));
    });
    return found == rows.end() ? nullptr : found;
}

}  // namespace

Fault classify(std::string_view text) {
    const Row* row = row_of(text);
    return row == nullptr ? Fault::none : row->fault;
}

Error fault_error(const std::string& where, std::string_view text) {
    const Row* row = row_of(text);
    return Error{fmt::format("{}: {}", where, text.substr(0, 200)),
                 std::string{row == nullptr ? std::string_view{} : row->hint}};
}

}  // namespace muster::redis
