#pragma once
// What processes wrote last, and who wants to hear what they write next.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "logs/tail_ring.h"

namespace muster::logs {

struct StreamKey {
    std::uint32_t process;
    bool is_stderr;
    friend bool operator==(const StreamKey&, const StreamKey&) = default;
};

// Hears each piece of a stream as it comes, in order. A piece is what was read at once: it may end
// in the middle of a line, and is only lent.
class Follower {
public:
    Follower() = default;
    Follower(const Follower&) = delete;
    Follower& operator=(const Follower&) = delete;
    virtual void output(std::string_view bytes) = 0;  // may neither add nor remove followers

protected:
    ~Follower() = default;
};

// By process and stream, so that they outlive every incarnation. A stream that has said nothing and
// that nobody follows costs nothing.
class Tails {
public:
    static constexpr std::size_t kept_bytes = std::size_t{32} * 1024;
    // Of what also goes to a file: the file has the rest.
    static constexpr std::size_t kept_beside_file = 4096;

    void append(StreamKey stream, std::string_view bytes, std::size_t keep = kept_bytes);
    [[nodiscard]] std::string last(StreamKey stream, std::size_t lines) const;

    // How much it has ever said (or since it was cleared), and a part of that which is still here.
    [[nodiscard]] std::uint64_t size(StreamKey stream) const;
    [[nodiscard]] std::string piece(StreamKey stream, std::uint64_t at, std::uint64_t length) const;
    void clear(StreamKey stream) { rings_.erase(stream); }

    // Each follower is told of each piece: O(followers), of which control/ allows a few hundred.
    void follow(StreamKey stream, Follower& follower);
    void forget(StreamKey stream, Follower& follower);
    [[nodiscard]] bool is_followed(StreamKey stream) const;

private:
    struct Hash {
        std::size_t operator()(const StreamKey& key) const {
            return std::size_t{key.process} * 2 + (key.is_stderr ? 1 : 0);
        }
    };
    std::unordered_map<StreamKey, TailRing, Hash> rings_;
    std::unordered_map<StreamKey, std::vector<Follower*>, Hash> followers_;
};

}  // namespace muster::logs
