#pragma once
// Where we live, and what that says of another instance: whether it is an earlier life of this very
// place.

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "registry/roll.h"

namespace muster::daemon {

using Variable = std::function<std::optional<std::string>(const char*)>;
registry::Place read_place(const Variable& variable);

// The platform's name of this very machine or instance, for where the container does not show
// itself. Not $DYNO: the old and the new dyno of that name live at the same time.
std::string platform_instance(const Variable& variable);

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
