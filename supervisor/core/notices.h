#pragma once
// What event listeners can be told, by supervisord's names (4.2.5, events.py).

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace muster::core {

enum class Notice : std::uint8_t {
    process_state_starting,
    process_state_running,
    process_state_backoff,
    process_state_stopping,
    process_state_exited,
    process_state_stopped,
    process_state_fatal,
    remote_communication,
    supervisor_state_change_running,
    supervisor_state_change_stopping,
    tick_5,
    tick_60,
    tick_3600,
    process_group_added,
    process_group_removed,
};

class NoticeSet {
public:
    [[nodiscard]] bool is_empty() const { return bits_ == 0; }
    [[nodiscard]] bool contains(Notice what) const { return (bits_ & bit(what)) != 0; }
    void add(Notice what) { bits_ |= bit(what); }
    void add(NoticeSet others) { bits_ |= others.bits_; }
    [[nodiscard]] std::vector<Notice> all() const;
    friend bool operator==(const NoticeSet&, const NoticeSet&) = default;

private:
    static std::uint32_t bit(Notice what) { return 1U << static_cast<unsigned>(what); }
    std::uint32_t bits_ = 0;
};

std::string_view notice_name(Notice what);  // "PROCESS_STATE_EXITED"

// Of an event, or of a whole class: "TICK", "EVENT". Empty: there is none of that name.
NoticeSet notices_called(std::string_view name);
// One of supervisord's that never comes here.
bool is_foreign_notice(std::string_view name);
std::vector<std::string_view> notice_words();  // all that notices_called() takes

}  // namespace muster::core
