#pragma once
// supervisord's event listener protocol, without any I/O: what one listener says, what waits for a
// pool of them, and the text of what they are told (supervisord 4.2.5, dispatchers.py, process.py).

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "core/actions.h"
#include "core/notices.h"

namespace muster::control {

// What a listener's stdout says:
//
//  state        | it says        | then
//  acknowledged | READY          | ready
//  ready        | (we send)      | busy
//  busy         | RESULT N, N B  | acknowledged: accepted where the bytes are OK, else rejected
//  any          | anything else  | confused, until it is restarted
class ListenerTalk {
public:
    enum class State : std::uint8_t { acknowledged, ready, busy, confused };
    enum class News : std::uint8_t { is_ready, accepted, rejected, is_confused };

    // Cut anywhere. Holds a line of 32 bytes at most, whatever comes.
    std::vector<News> read(std::string_view bytes);
    void sent();  // an event, to one that is ready
    [[nodiscard]] State state() const { return state_; }

private:
    std::optional<News> line();
    void result(std::string_view& bytes, std::vector<News>& news);

    State state_ = State::acknowledged;
    std::string line_;                     // as far as it has come
    std::optional<std::uint64_t> wanted_;  // bytes of the result that are still to come
    std::string result_;                   // its first bytes
};

struct ListenerEvent {
    core::Notice what;
    std::string payload;
    std::uint64_t serial = 0;
    std::uint64_t pool_serial = 0;
};

// What waits for one of a listener program's processes to be ready.
class ListenerPool {
public:
    ListenerPool(std::string name, core::NoticeSet events, std::size_t buffer)
        : name_(std::move(name)), events_(events), buffer_(buffer) {}

    void change(core::NoticeSet events, std::size_t buffer) { events_ = events, buffer_ = buffer; }
    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] core::NoticeSet events() const { return events_; }
    [[nodiscard]] bool wants(core::Notice what) const { return events_.contains(what); }
    // Behind all others. What had to go for it, where there was no room: the oldest.
    std::optional<ListenerEvent> add(core::Notice what, std::string payload, std::uint64_t serial);
    // Before all others: it was rejected, or its listener died. Likewise.
    std::optional<ListenerEvent> give_back(ListenerEvent event);
    std::optional<ListenerEvent> take();
    [[nodiscard]] bool is_empty() const { return waiting_.empty(); }
    // The header line, and the payload.
    [[nodiscard]] std::string text(const ListenerEvent& event, std::string_view server) const;

private:
    std::optional<ListenerEvent> make_room();

    std::string name_;
    core::NoticeSet events_;
    std::size_t buffer_;
    std::uint64_t next_serial_ = 0;
    std::deque<ListenerEvent> waiting_;
};

// One transition as supervisord tells it: none, one or (where it has a state in between) two
// events.
struct StateNews {
    std::string_view process;
    std::string_view group;
    core::State from;
    core::State to;
    core::Cause cause;
    bool has_exited;      // the transition tells of an exit
    std::int32_t pid;     // of the life that it is about; 0: there was none
    std::uint32_t tries;  // failures so far
};
struct Told {
    core::Notice what;
    std::string payload;
};
std::vector<Told> told_of(const StateNews& news);

std::string tick_payload(std::int64_t now, std::int64_t period);  // both in seconds

}  // namespace muster::control
