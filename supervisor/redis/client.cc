#include "redis/client.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "base/text.h"
#include "redis/command.h"
#include "redis/fault.h"

namespace muster::redis {
namespace {

constexpr std::size_t most_refusals = 100;  // told of; a Redis may make them up

std::string sentence(const Error& error) {
    return error.hint().empty() ? error.message()
                                : fmt::format("{} ({})", error.message(), error.hint());
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
    if (connection_ || sentinel_ || reconnect_at_) return;
    reconnect_at_ = loop_.now();
    arm_timer();
}

void Client::connect() {
    reconnect_at_.reset();
    timer_.disarm();
    if (std::exchange(has_tried_, true) && options_.read_url) {
        auto url = options_.read_url();
        if (!url) return lost(url.error());
        options_.url = std::move(*url);
    }
    if (options_.url.sentinels.empty())
        connect_to(options_.url);
    else
        find_master();
}

void Client::find_master() {
    sentinel_ = std::make_unique<Sentinel>(
        loop_, resolver_, ConnectionOptions{options_.url, options_.connect_timeout, options_.tls},
        first_sentinel_, [this](Result<Sentinel::Answer> answer) {
            const auto asked = std::move(sentinel_);  // ends after this
            if (!answer) return lost(answer.error());
            first_sentinel_ = answer->told_by;
            Url url = options_.url;
            url.host = answer->master.host;
            url.port = answer->master.port;
            url.shown += fmt::format(" (master {}:{})", url.host, url.port);
            if (options_.progress)
                options_.progress(
                    fmt::format("the master of {} is {}:{}", url.service, url.host, url.port));
            connect_to(url);
        });
}

void Client::connect_to(const Url& url) {
    connection_ = std::make_unique<Connection>(
        loop_, resolver_, ConnectionOptions{url, options_.connect_timeout, options_.tls},
        Connection::Events{
            .ready = [this] { became_ready(); },
            .reply = [this](Reply reply) { received(std::move(reply)); },
            .closed = [this](const Error& error) { lost(error); },
            .progress = options_.progress,
        });
}

void Client::became_ready() {
    connected_at_ = last_traffic_ = loop_.now();
    if (!options_.dataset_key.empty() || options_.asks_role) return learn();
    arm_timer();
    change(true, {});
}

void Client::learn() {
    learning_.emplace();
    ask({"HELLO"}, [this](const Reply& reply) {
        const auto greeting = read_hello(reply);
        if (!greeting) return ask_role();
        learning_->session.version = greeting->version;
        take_role(greeting->is_master);
    });
    ask({"INFO", "server"}, [this](const Reply& reply) {
        Session& session = learning_->session;
        session.run_id = info_value(reply.text, "run_id");
        if (session.version.empty()) session.version = info_value(reply.text, "redis_version");
    });
    if (options_.dataset_key.empty()) return;
    const std::string id = random_text(16);
    ask(dataset_question(options_.dataset_key, id),
        [this, id](const Reply& reply) { learning_->dataset = read_dataset(reply, id); });
}

// Held by this client alone, so `this` lives whenever it is called; an Error comes only after the
// connection is lost, and then nothing is learned any more.
void Client::ask(std::vector<std::string> argv, std::function<void(const Reply&)> answer) {
    ++learning_->open;
    send(std::move(argv), [this, answer = std::move(answer)](const Result<Reply>& reply) {
        if (!reply || !learning_) return;
        const std::weak_ptr<bool> alive = alive_;
        answer(*reply);
        if (!alive.expired() && learning_ && --learning_->open == 0) learned();
    });
}

// Before Redis 6, and where HELLO is refused. Where all three are, a replica shows itself by
// refusing the marker.
void Client::ask_role() {
    ask({"ROLE"}, [this](const Reply& reply) {
        if (const auto role = read_role(reply)) return take_role(role);
        ask({"INFO", "replication"},
            [this](const Reply& info) { take_role(read_info_replication(info)); });
    });
}

void Client::take_role(std::optional<bool> is_master) {
    if (is_master.value_or(true)) return;
    if (options_.url.sentinels.empty()) {
        lost(fault_error(options_.url.shown, "READONLY it says of itself that it is a replica"));
    } else {
        lost(Error{fmt::format("{}: whom the sentinels name is a replica", options_.url.shown),
                   "a failover is under way; they are asked again"});
    }
}

void Client::learned() {
    auto fresh = std::move(*learning_);
    learning_.reset();
    session_ = judged(std::move(fresh.session), fresh.dataset,
                      has_session_ ? std::optional{session_} : std::nullopt, loop_.now());
    has_session_ = true;
    arm_timer();
    change(true, {});
}

bool Client::may_decide(Duration lease) const {
    return state_.connected && has_session_ && session_.is_master &&
           loop_.now() - session_.steady_since >= lease;
}

void Client::look_at_dataset(Duration lease, std::function<void(Result<bool>)> done) {
    const std::string id = random_text(16);
    // Held by this client alone: `this` lives whenever it is called.
    command(dataset_question(options_.dataset_key, id),
            [this, id, lease, done = std::move(done)](const Result<Reply>& reply) {
                if (!reply) return done(reply.error());
                session_ = judged(session_, read_dataset(*reply, id), session_, loop_.now());
                done(may_decide(lease));
            });
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
    learning_.reset();
    unsent_.clear();
    known_scripts_.clear();
    for (auto& waiting : waiting_) refuse(std::move(waiting.answer), error);
    waiting_.clear();
    reconnect_at_ = now + next_pause();
    arm_timer();
    change(false, sentence(error));
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
    send(std::move(argv), std::move(answer));
}

void Client::send(std::vector<std::string> argv, Answer answer) {
    unsent_ += formatted(argv);
    waiting_.push_back(
        {loop_.now() + options_.command_timeout, std::move(argv.front()), std::move(answer)});
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
    Fault fault = Fault::none;
    if (reply.is_error()) {
        reply.text = without_secrets(std::move(reply.text), options_.url);
        fault = classify(reply.text);
    }
    // Its own command is answered like all that wait: with the Error.
    if (is_away(fault)) return lost(fault_error(options_.url.shown, reply.text));
    const std::string command = std::move(waiting_.front().command);
    const Answer answer = std::move(waiting_.front().answer);
    waiting_.pop_front();
    arm_timer();
    const std::weak_ptr<bool> alive = alive_;
    if (fault == Fault::refused) note_refusal(command, reply.text);
    if (!alive.expired()) answer(std::move(reply));
}

// A refused script says in its text which one it is.
void Client::note_refusal(std::string command, const std::string& text) {
    if (command == "EVALSHA") command = "EVAL";
    if (refusals_.size() >= most_refusals || !refusals_.insert(command + ' ' + text).second) return;
    const auto refused = options_.refused;
    if (refused) refused(command, fault_error(options_.url.shown, text));
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
