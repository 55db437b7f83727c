#include "control/listener.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace muster::control {

namespace {

constexpr std::size_t longest_line = 32;  // "RESULT " and a number

}  // namespace

std::vector<ListenerTalk::News> ListenerTalk::read(std::string_view bytes) {
    std::vector<News> news;
    while (!bytes.empty() && state_ != State::confused) {
        if (wanted_) {
            result(bytes, news);
            continue;
        }
        const auto end = bytes.find('\n');
        const auto size = std::min(end, bytes.size());
        line_ += bytes.substr(0, std::min(size, longest_line + 1));
        bytes.remove_prefix(std::min(end == bytes.npos ? end : end + 1, bytes.size()));
        const bool is_whole = end != std::string_view::npos;
        // Whoever is ready has nothing to say before it is told something.
        if (state_ == State::ready || line_.size() > longest_line) {
            state_ = State::confused;
            news.push_back(News::is_confused);
        } else if (is_whole) {
            const auto said = line();
            line_.clear();
            if (said) news.push_back(*said);
            if (wanted_ && *wanted_ == 0) result(bytes, news);
        }
    }
    return news;
}

std::optional<ListenerTalk::News> ListenerTalk::line() {
    if (state_ == State::acknowledged && line_ == "READY") {
        state_ = State::ready;
        return News::is_ready;
    }
    constexpr std::string_view token = "RESULT ";
    if (state_ == State::busy && line_.starts_with(token)) {
        std::uint64_t size = 0;
        const char* const end = line_.data() + line_.size();
        const auto [stop, code] = std::from_chars(line_.data() + token.size(), end, size);
        if (code == std::errc{} && stop == end) {
            wanted_ = size;
            return std::nullopt;
        }
    }
    state_ = State::confused;
    return News::is_confused;
}

void ListenerTalk::result(std::string_view& bytes, std::vector<News>& news) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(*wanted_, bytes.size()));
    // One byte more than OK tells that it is something else.
    if (result_.size() < 3) result_ += bytes.substr(0, std::min<std::size_t>(size, 3));
    bytes.remove_prefix(size);
    *wanted_ -= size;
    if (*wanted_ > 0) return;
    news.push_back(result_ == "OK" ? News::accepted : News::rejected);
    wanted_.reset();
    result_.clear();
    state_ = State::acknowledged;
}

void ListenerTalk::sent() {
    state_ = State::busy;
}

std::optional<ListenerEvent> ListenerPool::make_room() {
    if (waiting_.size() < buffer_) return std::nullopt;
    return take();
}

std::optional<ListenerEvent> ListenerPool::add(core::Notice what,
                                               std::string payload,
                                               std::uint64_t serial) {
    auto dropped = make_room();
    waiting_.push_back({what, std::move(payload), serial, next_serial_++});
    return dropped;
}

std::optional<ListenerEvent> ListenerPool::give_back(ListenerEvent event) {
    auto dropped = make_room();
    waiting_.push_front(std::move(event));
    return dropped;
}

std::optional<ListenerEvent> ListenerPool::take() {
    if (waiting_.empty()) return std::nullopt;
    ListenerEvent event = std::move(waiting_.front());
    waiting_.pop_front();
    return event;
}

std::string ListenerPool::text(const ListenerEvent& event, std::string_view server) const {
    return fmt::format("ver:3.0 server:{} serial:{} pool:{} poolserial:{} eventname:{} len:{}\n{}",
                       server, event.serial, name_, event.pool_serial,
                       core::notice_name(event.what), event.payload.size(), event.payload);
}

std::vector<Told> told_of(const StateNews& news) {
    using core::Notice;
    using core::State;
    std::vector<Told> told;
    std::string from = core::state_name(news.from);
    // Tells, and goes on from there.
    const auto tell = [&](Notice what, State to, const std::string& rest) {
        told.push_back({what, fmt::format("processname:{} groupname:{} from_state:{}{}",
                                          news.process, news.group, from, rest)});
        from = core::state_name(to);
    };
    const std::string pid = fmt::format(" pid:{}", news.pid);
    const std::string tries = fmt::format(" tries:{}", news.tries);
    // There nothing goes from RUNNING to BACKOFF or FATAL, or from STOPPING to STARTING, without
    // having been EXITED or STOPPED.
    if (news.has_exited && (news.from == State::running || news.to == State::exited))
        tell(
            Notice::process_state_exited, State::exited,
            fmt::format(" expected:{}{}", news.cause == core::Cause::exited_expected ? 1 : 0, pid));
    switch (news.to) {
        case State::stopped:
            tell(Notice::process_state_stopped, State::stopped, pid);
            break;
        case State::starting:
            if (news.from == State::stopping)
                tell(Notice::process_state_stopped, State::stopped, pid);
            tell(Notice::process_state_starting, State::starting, tries);
            break;
        case State::running:
            tell(Notice::process_state_running, State::running, pid);
            break;
        case State::backoff:
            tell(Notice::process_state_backoff, State::backoff, tries);
            break;
        case State::stopping:
            tell(Notice::process_state_stopping, State::stopping, pid);
            break;
        case State::exited:
            break;
        case State::fatal:
            if (news.from == State::starting)
                tell(Notice::process_state_backoff, State::backoff, tries);
            tell(Notice::process_state_fatal, State::fatal, "");
            break;
    }
    return told;
}

std::string tick_payload(std::int64_t now, std::int64_t period) {
    return fmt::format("when:{}", now - now % period);
}

}  // namespace muster::control
