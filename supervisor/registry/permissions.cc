#include "registry/permissions.h"

#include <array>

namespace muster::registry {
namespace {

// SET first: it makes the key on which the others find a wrong type, and so change nothing. DEL
// last.
constexpr std::array commands{
    NeededCommand{"set", "SET KEY 1 PX 10000"},
    NeededCommand{"ping", "PING"},
    NeededCommand{"eval", "EVAL return(1) 0"},
    NeededCommand{"evalsha", "EVALSHA 0000000000000000000000000000000000000000 0"},
    NeededCommand{"time", "TIME"},
    NeededCommand{"type", "TYPE KEY"},
    NeededCommand{"exists", "EXISTS KEY"},
    NeededCommand{"get", "GET KEY"},
    NeededCommand{"expire", "EXPIRE KEY 10"},
    NeededCommand{"pexpire", "PEXPIRE KEY 10000"},
    NeededCommand{"ttl", "TTL KEY"},
    NeededCommand{"pttl", "PTTL KEY"},
    NeededCommand{"hget", "HGET KEY a"},
    NeededCommand{"hmget", "HMGET KEY a"},
    NeededCommand{"hgetall", "HGETALL KEY"},
    NeededCommand{"hlen", "HLEN KEY"},
    NeededCommand{"hscan", "HSCAN KEY 0"},
    NeededCommand{"hset", "HSET KEY a 1"},
    NeededCommand{"hdel", "HDEL KEY a"},
    NeededCommand{"smembers", "SMEMBERS KEY"},
    NeededCommand{"sismember", "SISMEMBER KEY a"},
    NeededCommand{"sscan", "SSCAN KEY 0"},
    NeededCommand{"sadd", "SADD KEY a"},
    NeededCommand{"srem", "SREM KEY a"},
    NeededCommand{"zscore", "ZSCORE KEY a"},
    NeededCommand{"zcard", "ZCARD KEY"},
    NeededCommand{"zrange", "ZRANGE KEY 0 0"},
    NeededCommand{"zrangebyscore", "ZRANGEBYSCORE KEY 0 0"},
    NeededCommand{"zadd", "ZADD KEY 1 a"},
    NeededCommand{"zrem", "ZREM KEY a"},
    NeededCommand{"zremrangebyscore", "ZREMRANGEBYSCORE KEY 0 0"},
    NeededCommand{"lrem", "LREM KEY 0 a"},
    NeededCommand{"llen", "LLEN KEY", "nobody knows how many jobs wait: no depths, no autoscale"},
    NeededCommand{"info", "INFO server", "a restarted server is not known as another one"},
    NeededCommand{"role", "ROLE", "on Redis 5 a replica is known only by its refusals"},
    NeededCommand{"pubsub|numsub", "PUBSUB NUMSUB muster-check",
                  "foreign stale workers are left: nobody can say whether they still listen"},
    NeededCommand{"client|list", "CLIENT LIST ID 0",
                  "a foreign worker's connection is no sign of its life"},
    NeededCommand{"scan", "SCAN 0 COUNT 1", "some registries are not searched for leftovers"},
    NeededCommand{"xadd", "XADD KEY * a 1", "a job that is failed carries no result saying why"},
    NeededCommand{"del", "DEL KEY"},
};

}  // namespace

std::span<const NeededCommand> needed_commands() {
    return commands;
}

// Of systems whose workers are only named, ended and replaced, no key is touched.
std::vector<std::string> key_patterns(core::RegistryKind kind) {
    using core::RegistryKind;
    switch (kind) {
        case RegistryKind::rq:
            return {"rq:*"};
        case RegistryKind::resque:
            return {"resque:*"};
        case RegistryKind::sidekiq:
        case RegistryKind::custom:
            return {"*"};
        case RegistryKind::none:
        case RegistryKind::celery:
        case RegistryKind::dramatiq:
        case RegistryKind::bullmq:
        case RegistryKind::arq:
        case RegistryKind::huey:
        case RegistryKind::bee_queue:
        case RegistryKind::node_resque:
            return {};
    }
    return {};
}

}  // namespace muster::registry
