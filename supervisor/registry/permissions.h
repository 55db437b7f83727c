#pragma once
// What muster must be allowed in Redis, command by command: the ACL that docs/redis-acl.md shows
// and `muster check --connect` tries. A test holds every script and every command of ours against
// this table.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/job_system.h"

namespace muster::registry {

struct NeededCommand {
    std::string_view rule;  // as ACL SETUSER has it, without the +: "hset", "client|list"
    // The words of a harmless try; KEY stands for a key of muster's own that holds a string and
    // expires by itself.
    std::string_view probe;
    std::string_view without = {};  // what is lost without it; "" = it is indispensable
};
std::span<const NeededCommand> needed_commands();

// Patterns of the keys that are read or written for a job system; "*" where they have no common
// beginning.
std::vector<std::string> key_patterns(core::RegistryKind kind);

}  // namespace muster::registry
