#include "redis/client.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "redis/command.h"

namespace muster::redis {
namespace {

// Such a Redis answers, but not from the data that we must decide by.
bool speaks_for_nobody(const Reply& reply) {
    if (!reply.is_error()) return false;
    return std::ranges::any_of(std::array{"LOADING ", "MASTERDOWN ", "READONLY "},
                               [&](const char* kind) { return reply.text.starts_with(kind); });
}

}  // namespace

Client::Client(loop::Loop& loop, ClientOptions options, Changed changed)
    : loop_(loop),
      options_(std::move(options)),
      changed_(std::move(changed)),
      state_{.connected = false, .why = "not connected yet"},
      resolver_(loop),
      timer_(loop, [this] { time_has_come(); }),
      soon_(loop, [this] { run_soon(); }) {}

Client::~Client() = default;

void Client::start() {
    if (!connection_) connect();
}

void Client::connect() {
    reconnect_at_.reset();
    timer_.disarm();
    connection_ = std::make_unique<Connection>(
        loop_, resolver_, options_.url, options_.connect_timeout,
        Connection::Events{
            .ready = [this] { became_ready(); },
            .reply = [this](Reply reply) { received(std::move(reply)); },
            .closed = [this](const Error& error) { lost(error); },
        });
}

void Client::became_ready() {
    connected_at_ = last_traffic_ = loop_.now();
    arm_timer();
    change(true, {});
}

void Client::change(bool connected, std::string why) {
    if (connected == state_.connected && why == state_.why) return;
    state_ = State{.connected = connected, .why = std::move(why)};
    const State told = state_;
    const auto changed = changed_;
    if (changed) changed(told);
}

void Client::lost(const Error& error) {
    const TimePoint now = loop_.now();
    if (state_.connected && now - connected_at_ >= proven_after) failures_ = 0;
    connection_.reset();
    unsent_.clear();
    known_scripts_.clear();
    for (auto& waiting : waiting_) refuse(std::move(waiting.answer), error);
    waiting_.clear();
    reconnect_at_ = now + next_pause();
    arm_timer();
    std::string why = error.message();
    if (!error.hint().empty()) why += fmt::format(" ({})", error.hint());
    change(false, std::move(why));
}

Duration Client::next_pause() {
    if (failures_++ == 0) return first_retry;
    const auto doublings = std::min(failures_ - 2, 10U);
    const Duration most = std::min<Duration>(first_pause * (1LL << doublings), longest_pause);
    const auto random = std::uniform_int_distribution<std::int64_t>{0, most.count()}(random_);
    return std::max(first_retry, Duration{random});
}

void Client::command(std::vector<std::string> argv, Answer answer) {
    if (!state_.connected) {
        refuse(std::move(answer), Error{"Redis is away: " + state_.why});
        return;
    }
    if (waiting_.size() >= options_.max_queue) {
        refuse(std::move(answer), Error{"too many Redis commands wait for an answer"});
        return;
    }
    unsent_ += formatted(argv);
    waiting_.push_back({loop_.now() + options_.command_timeout, std::move(answer)});
    soon_.arm();
    if (waiting_.size() == 1) arm_timer();
}

// The first use on a connection carries the whole script, which makes Redis know it: commands keep
// their order, and there is no round trip only to hear NOSCRIPT.
void Client::eval(const Script& script,
                  std::vector<std::string> keys,
                  std::vector<std::string> args,
                  Answer answer) {
    std::vector<std::string> argv{"EVAL", std::string(script.body), std::to_string(keys.size())};
    argv.reserve(argv.size() + keys.size() + args.size());
    std::ranges::move(keys, std::back_inserter(argv));
    std::ranges::move(args, std::back_inserter(argv));
    if (!state_.connected || known_scripts_.insert(script.sha1).second) {
        command(std::move(argv), std::move(answer));
        return;
    }
    auto by_sha1 = argv;
    by_sha1[0] = "EVALSHA";
    by_sha1[1] = script.sha1;
    // Redis forgets its scripts by SCRIPT FLUSH. Held by this client alone, so `this` lives
    // whenever it is called.
    command(std::move(by_sha1), [this, argv = std::move(argv),
                                 answer = std::move(answer)](Result<Reply> reply) mutable {
        if (reply && reply->is_error() && reply->text.starts_with("NOSCRIPT"))
            command(std::move(argv), std::move(answer));
        else
            answer(std::move(reply));
    });
}

void Client::received(Reply reply) {
    last_traffic_ = loop_.now();
    if (waiting_.empty()) {
        lost(Error{fmt::format("{}: an answer that nobody asked for", options_.url.shown)});
        return;
    }
    const Answer answer = std::move(waiting_.front().answer);
    waiting_.pop_front();
    arm_timer();
    if (speaks_for_nobody(reply))
        answer(Error{"Redis cannot answer now: " + reply.text});
    else
        answer(std::move(reply));
}

void Client::refuse(Answer answer, Error error) {
    failed_.push_back({std::move(answer), std::move(error)});
    soon_.arm();
}

void Client::run_soon() {
    const std::weak_ptr<bool> alive = alive_;
    if (!unsent_.empty() && connection_) connection_->write(std::exchange(unsent_, {}));
    for (auto& failed : std::exchange(failed_, {})) {
        if (alive.expired()) return;
        failed.answer(std::move(failed.error));
    }
}

void Client::arm_timer() {
    if (reconnect_at_)
        timer_.arm(*reconnect_at_);
    else if (!waiting_.empty())
        timer_.arm(waiting_.front().deadline);
    else
        timer_.arm(last_traffic_ + idle_before_ping);
}

void Client::try_now() {
    if (!reconnect_at_) return;
    reconnect_at_ = loop_.now();
    arm_timer();
}

void Client::time_has_come() {
    const TimePoint now = loop_.now();
    if (reconnect_at_) {
        if (now >= *reconnect_at_)
            connect();
        else
            arm_timer();
    } else if (!waiting_.empty() && now >= waiting_.front().deadline) {
        lost(Error{fmt::format("{}: no answer within {}", options_.url.shown,
                               format_duration(options_.command_timeout))});
    } else {
        if (waiting_.empty() && now >= last_traffic_ + idle_before_ping)
            command({"PING"}, [](const auto&) {});
        arm_timer();
    }
}

}  // namespace muster::redis
