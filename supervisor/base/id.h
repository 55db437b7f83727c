#pragma once
// Numbers that cannot be mixed up: comparable, not arithmetic. "None" is std::optional, never -1: a
// leftover -1 makes kill(pid, ...) signal every process there is.

#include <sys/types.h>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace muster {

template <class Tag, class Rep>
class Id {
public:
    constexpr explicit Id(Rep value) : value_(value) {}
    [[nodiscard]] constexpr Rep value() const { return value_; }
    // The check takes the literal 0 of the compiler's own code for a null pointer.
    friend auto operator<=>(Id, Id) = default;  // NOLINT(modernize-use-nullptr)

private:
    Rep value_;
};

using ProcessId = Id<struct ProcessTag, std::uint32_t>;        // a slot, dense from 0
using ProgramId = Id<struct ProgramTag, std::uint32_t>;        // dense from 0, in the file's order
using Incarnation = Id<struct IncarnationTag, std::uint32_t>;  // counts a process's lives, from 1
using Pid = Id<struct PidTag, pid_t>;
using SignalNumber = Id<struct SignalTag, int>;

}  // namespace muster

template <class Tag, class Rep>
struct std::hash<muster::Id<Tag, Rep>> {
    std::size_t operator()(muster::Id<Tag, Rep> id) const noexcept {
        return std::hash<Rep>{}(id.value());
    }
};
