#pragma once
// One connection to one Redis, kept up: a bounded queue of commands, each with a deadline, and a
// patient way back after a loss.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "loop/lifeline.h"
#include "loop/loop.h"
#include "loop/prepare.h"
#include "loop/resolver.h"
#include "loop/timer.h"
#include "redis/connection.h"
#include "redis/reply.h"
#include "redis/script.h"
#include "redis/sentinel.h"
#include "redis/session.h"
#include "redis/url.h"

namespace muster::redis {

struct ClientOptions {
    Url url;
    Duration connect_timeout = std::chrono::seconds{5};  // name lookup, connect, AUTH, SELECT, PING
    Duration command_timeout = std::chrono::seconds{3};
    std::size_t max_queue = 65'536;  // commands without an answer
    // The marker of session.h. "": not asked for, nor the role unless by asks_role.
    std::string dataset_key = {};
    bool asks_role = false;
    TlsSettings tls = {};
    // Asked before each connection but the first, so that a secret may change: url_file.
    std::function<Result<Url>()> read_url = {};
    // Told once for each command that this Redis refuses us: what it is, and a sentence.
    std::function<void(const std::string& command, const Error& why)> refused = {};
    // Each step on the way to a connection, in words.
    std::function<void(const std::string& step)> progress = {};
};

// Times of the way back: the first retry comes at once (first_retry), then a random pause of at
// most 0.5 s, doubling to 20 s, so that debts are paid within half a minute of Redis' return. The
// doubling starts anew only after a connection that lived for proven_after, so that a Redis that
// greets us and then breaks is not met in a hot loop.
inline constexpr Duration first_retry = std::chrono::milliseconds{50};
inline constexpr Duration first_pause = std::chrono::milliseconds{500};
inline constexpr Duration longest_pause = std::chrono::seconds{20};
inline constexpr Duration proven_after = std::chrono::seconds{5};
inline constexpr Duration idle_before_ping = std::chrono::seconds{60};

// How far the questions of session.h are, on a connection that was just made.
struct Learning {
    Session session;
    std::optional<Dataset> dataset;
    std::size_t open = 0;  // questions without an answer
};

class Client {
public:
    // An error answer of Redis comes as a Reply of type error; but what counts as away (fault.h:
    // LOADING, READONLY, MISCONF …) comes as an Error and ends the connection, like a Redis that
    // does not answer: its data must not decide anything.
    using Answer = std::function<void(Result<Reply>)>;

    struct State {
        bool connected = false;
        std::string why;  // why it is away; never holds a password
    };
    using Changed = std::function<void(const State&)>;

    // `changed` is told when the state or the reason for being away changes.
    Client(loop::Loop& loop, ClientOptions options, Changed changed);
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;
    ~Client();  // open commands are not answered any more

    void start();    // the first connection is tried at once
    void try_now();  // cuts the pause before the next attempt short

    // Answered exactly once, never inside the call. While Redis is away the answer is an Error.
    void command(std::vector<std::string> argv, Answer answer);
    // EVAL for the first time on a connection or where Redis has forgotten the script, else
    // EVALSHA. The script's texts must live as long as the client.
    void eval(const Script& script,
              std::vector<std::string> keys,
              std::vector<std::string> args,
              Answer answer);

    [[nodiscard]] const State& state() const { return state_; }
    [[nodiscard]] bool is_connected() const { return state_.connected; }
    // Of the present connection, or of the last one.
    [[nodiscard]] const Session& session() const { return session_; }
    // Whether anything may be decided of what others left in Redis: connected to the master, and
    // for at least `lease` one server has answered from one dataset. Own deaths are certain without
    // it.
    [[nodiscard]] bool may_decide(Duration lease) const;
    // Looks for the marker again: the data may be emptied under a connection that stays. To be
    // asked right before a decision; the answer is may_decide() with fresh eyes.
    void look_at_dataset(Duration lease, std::function<void(Result<bool> may_decide)> done);
    [[nodiscard]] const Url& url() const { return options_.url; }
    [[nodiscard]] std::size_t open_commands() const { return waiting_.size(); }

private:
    struct Waiting {
        TimePoint deadline;
        std::string command;  // its name
        Answer answer;
    };
    struct Failed {
        Answer answer;
        Error error;
    };

    void connect();
    void find_master();
    void connect_to(const Url& url);
    void became_ready();
    void send(std::vector<std::string> argv, Answer answer);
    void learn();
    void ask(std::vector<std::string> argv, std::function<void(const Reply&)> answer);
    void ask_role();
    void take_role(std::optional<bool> is_master);
    void learned();
    void note_refusal(std::string command, const std::string& text);
    void received(Reply reply);
    void lost(const Error& error);
    void change(bool connected, std::string why);
    void arm_timer();
    void time_has_come();
    void run_soon();
    void refuse(Answer answer, Error error);
    [[nodiscard]] Duration next_pause();

    loop::Loop& loop_;
    ClientOptions options_;
    Changed changed_;
    State state_;
    loop::Resolver resolver_;
    std::unique_ptr<Sentinel> sentinel_;  // asked before a connection is made
    std::size_t first_sentinel_ = 0;      // the one that answered last
    std::unique_ptr<Connection> connection_;
    std::deque<Waiting> waiting_;  // sent, in the order of their answers
    std::optional<Learning> learning_;
    Session session_;
    bool has_session_ = false;                  // of some connection
    bool has_tried_ = false;                    // a connection
    std::set<std::string> refusals_;            // told; a bounded number
    std::vector<Failed> failed_;                // refused: told on the next turn
    std::string unsent_;                        // bytes of this turn: written together
    std::set<std::string_view> known_scripts_;  // sha1; sent on this connection
    std::uint32_t failures_ = 0;                // connections lost or refused in a row
    TimePoint connected_at_;
    TimePoint last_traffic_;
    std::optional<TimePoint> reconnect_at_;
    loop::Timer timer_;   // the one deadline: an answer, the idle PING or the next connection
    loop::Prepare soon_;  // armed only when there is something to write or to refuse
    std::minstd_rand random_{std::random_device{}()};
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // seen to end in a foreign call
    loop::Lifeline lifeline_;
};

}  // namespace muster::redis
