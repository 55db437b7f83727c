#pragma once
// The last output of one stream of a process, in bounded memory: for `logs`, and for whoever wants
// to know what a dead child said last.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace muster::logs {

// Holds the last bytes that were appended. It has no memory before the first of them, then grows
// by doubling up to its limit.
class TailRing {
public:
    explicit TailRing(std::size_t limit) : limit_(limit) {}

    void append(std::string_view bytes);
    // The last lines that are here whole; a last one without an end counts.
    [[nodiscard]] std::string last(std::size_t lines) const;
    // By its place in all that was ever appended; what is not here any more is left out.
    [[nodiscard]] std::string piece(std::uint64_t at, std::uint64_t length) const;
    [[nodiscard]] std::uint64_t bytes_ever() const { return ever_; }
    [[nodiscard]] std::size_t memory() const { return ring_.capacity(); }

private:
    void make_room(std::size_t wanted);
    [[nodiscard]] std::string all() const;

    std::size_t limit_;
    std::string ring_;  // its size is its capacity; the oldest byte is at begin_
    std::size_t begin_ = 0;
    std::size_t held_ = 0;
    std::uint64_t ever_ = 0;
};

// The last lines of a text.
std::string_view last_lines(std::string_view text, std::size_t lines);

}  // namespace muster::logs
