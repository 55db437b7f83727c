#include "logs/event_ring.h"

#include <algorithm>
#include <utility>

#include "logs/line_format.h"

namespace muster::logs {

namespace {

constexpr std::size_t time_size = 24;

// Words are shorter than 64 KiB: two bytes for the size.
void append_word(std::string& packed, std::string_view word) {
    word = word.substr(0, EventRing::longest_value);
    packed += static_cast<char>(static_cast<unsigned char>(word.size() & 0xff));
    packed += static_cast<char>(static_cast<unsigned char>(word.size() >> 8));
    packed += word;
}

std::string_view take_word(std::string_view& packed) {
    const std::size_t size = static_cast<unsigned char>(packed[0]) |
                             std::size_t{static_cast<unsigned char>(packed[1])} << 8;
    const std::string_view word = packed.substr(2, size);
    packed.remove_prefix(2 + size);
    return word;
}

void append_member(std::string& out, std::string_view key, std::string_view value) {
    out += ",\"";
    out += key;
    out += "\":\"";
    append_json(out, value);
    out += '"';
}

}  // namespace

void EventRing::add(LogLevel level,
                    std::string_view time,
                    std::string_view verb,
                    std::initializer_list<LogField> fields) {
    make_room();
    std::string packed = std::exchange(spare_, {});
    packed.clear();
    packed += static_cast<char>(level);
    packed += time.substr(0, time_size);
    append_word(packed, verb);
    for (const LogField& field : fields) {
        if (field.value.empty()) continue;
        append_word(packed, field.key);
        append_word(packed, field.value);
    }
    bytes_ += packed.size();
    events_.push_back(std::move(packed));
    ++last_number_;
    if (followers_.empty()) return;
    json_.clear();
    append_as_json(json_, last_number_, events_.back());
    for (Follower* follower : followers_) follower->event(last_number_, json_);
}

void EventRing::make_room() {
    while (events_.size() >= most_events || bytes_ >= most_bytes) {
        bytes_ -= events_.front().size();
        spare_ = std::move(events_.front());
        events_.pop_front();
    }
}

void EventRing::append_as_json(std::string& out, std::uint64_t number, std::string_view packed) {
    out += "{\"id\":";
    out += std::to_string(number);
    const auto level = static_cast<LogLevel>(packed[0]);
    append_member(out, "time", packed.substr(1, time_size));
    packed.remove_prefix(1 + time_size);
    append_member(out, "level", level_word(level));
    append_member(out, "event", take_word(packed));
    while (!packed.empty()) {
        const std::string_view key = take_word(packed);
        append_member(out, key, take_word(packed));
    }
    out += '}';
}

void EventRing::each(std::size_t most,
                     std::optional<std::uint64_t> after,
                     const Visit& visit) const {
    const std::uint64_t before_first = last_number_ - events_.size();
    // A number that was never given is of another life of the supervisor: then all are new.
    const std::uint64_t asked = after && *after <= last_number_ ? *after : before_first;
    const std::uint64_t of_last = last_number_ - std::min<std::uint64_t>(most, events_.size());
    std::string json;
    for (std::uint64_t number = std::max(asked, of_last); number < last_number_; ++number) {
        json.clear();
        append_as_json(json, number + 1, events_[static_cast<std::size_t>(number - before_first)]);
        visit(number + 1, json);
    }
}

std::uint64_t EventRing::missed_after(std::uint64_t number) const {
    const std::uint64_t before_first = last_number_ - events_.size();
    return number > last_number_ || number >= before_first ? 0 : before_first - number;
}

}  // namespace muster::logs
