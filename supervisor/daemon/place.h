#pragma once
// Where we live, and what that says of another instance: whether it is an earlier life of this very
// place.

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "registry/roll.h"

namespace muster::daemon {

registry::Place read_place(const std::function<std::optional<std::string>(const char*)>& variable);

// How much of another instance we can see from here.
enum class Kinship : std::uint8_t {
    none,            // nothing can be proved
    same_namespace,  // its processes, where there are any, are in our /proc
    same_container,  // its namespace went with the container's last start
};
Kinship kinship(const registry::InstanceFacts& other, const registry::InstanceFacts& us);

// Of the container that this mountinfo shows: "" where it shows none that is told apart from all
// others, also after restarts.
std::string container_of(std::string_view mountinfo, std::string_view boot_id);

// Nobody outside of our pid namespace shares our control group, where that can be seen. An earlier
// life of the same container could otherwise live on in a namespace inside of it.
bool is_alone_in_container();

}  // namespace muster::daemon
