#pragma once
// Our own events of late, for whoever asks afterwards, and those who want to hear the next.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"

namespace muster::logs {

// Events are numbered from 1. Each is kept as its bare fields, in bounded memory; JSON is made of
// it when somebody asks, or once for all who follow: an event that nobody follows costs one copy.
class EventRing {
public:
    static constexpr std::size_t most_events = 1000;
    static constexpr std::size_t most_bytes = std::size_t{256} * 1024;
    static constexpr std::size_t longest_value = 1024;  // the rest of it is only in the log

    // An event as {"id":12,"time":…,"level":…,"event":…, and its fields}; without an end of line.
    using Visit = std::function<void(std::uint64_t number, std::string_view json)>;

    class Follower {
    public:
        Follower() = default;
        Follower(const Follower&) = delete;
        Follower& operator=(const Follower&) = delete;
        // May neither add nor remove followers. The text is only lent.
        virtual void event(std::uint64_t number, std::string_view json) = 0;

    protected:
        ~Follower() = default;
    };

    // Fields with an empty value are left out. `time` has 24 characters.
    void add(LogLevel level,
             std::string_view time,
             std::string_view verb,
             std::initializer_list<LogField> fields);

    // The last so many, the oldest first; with `after`, of those with a greater number.
    void each(std::size_t most, std::optional<std::uint64_t> after, const Visit& visit) const;
    // How many with a greater number than this are not here any more.
    [[nodiscard]] std::uint64_t missed_after(std::uint64_t number) const;

    // Each follower is told of each event: O(followers), of which control/ allows a few hundred.
    void follow(Follower& follower) { followers_.push_back(&follower); }
    void forget(Follower& follower) { std::erase(followers_, &follower); }

    [[nodiscard]] std::size_t count() const { return events_.size(); }
    [[nodiscard]] std::uint64_t last_number() const { return last_number_; }

private:
    void make_room();
    static void append_as_json(std::string& out, std::uint64_t number, std::string_view packed);

    std::deque<std::string> events_;  // packed: level, time, and words, each after its size
    std::size_t bytes_ = 0;           // of all of them
    std::uint64_t last_number_ = 0;
    std::string spare_;  // of the one that went last, for its memory
    std::vector<Follower*> followers_;
    std::string json_;  // kept for its memory
};

}  // namespace muster::logs
