#include "client/connect_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "base/text.h"
#include "client/redis_options.h"
#include "loop/loop.h"
#include "loop/timer.h"
#include "redis/client.h"
#include "redis/fault.h"
#include "registry/depths.h"
#include "registry/permissions.h"

namespace muster::client {
namespace {

using namespace std::chrono_literals;

// ACL errors speak of a command or of a key, in each version's own words.
bool is_about_keys(std::string_view text) {
    return text.find("access") != text.npos && text.find("key") != text.npos;
}

std::set<std::string> patterns_of(const config::Config& config) {
    std::set<std::string> patterns;
    for (const config::Program& program : config.programs) {
        for (std::string& pattern : registry::key_patterns(program.registry))
            patterns.insert(std::move(pattern));
    }
    return patterns;
}

// Of keys that begin alike.
std::string pattern_of(const std::vector<std::string>& keys) {
    if (keys.size() == 1) return keys.front();
    std::string common = keys.front();
    for (const std::string& key : keys) {
        const auto differs = std::mismatch(common.begin(), common.end(), key.begin(), key.end());
        common.erase(differs.first, common.end());
    }
    return common + "*";
}

class ConnectCheck {
public:
    explicit ConnectCheck(const config::Config& config) : config_(config) {}

    Printed run();

private:
    enum class Mark : std::uint8_t { ok, note, fail };

    void say(Mark mark, const std::string& what);
    void changed(const redis::Client::State& state);
    void connected();
    void try_commands();
    void try_keys();
    void try_queues();
    void try_one(std::vector<std::string> words, std::function<void(const redis::Reply&)> answer);
    void judge(const registry::NeededCommand& needed, const redis::Reply& reply);
    void finish();

    const config::Config& config_;
    loop::Loop loop_;
    std::unique_ptr<redis::Client> client_;
    Printed printed_;
    bool is_over_ = false;
    bool was_connected_ = false;
    std::size_t open_ = 0;
    std::string key_;
    std::vector<std::string> refused_commands_;  // needed ones
    std::set<std::string> refused_keys_;
    std::vector<std::string> mending_;  // rules for ACL SETUSER
};

void ConnectCheck::say(Mark mark, const std::string& what) {
    const char* word = mark == Mark::ok ? "ok  " : mark == Mark::note ? "note" : "FAIL";
    printed_.out += fmt::format("  {}  {}\n", word, what);
    if (mark == Mark::fail) printed_.status = exit_failed;
}

Printed ConnectCheck::run() {
    auto url = redis::parse_url(config_.redis->url);
    if (!url) {
        printed_.err = fmt::format("{}; {}\n", url.error().message(), url.error().hint());
        printed_.status = exit_failed;
        return printed_;
    }
    printed_.out = fmt::format("Redis {}\n", url->shown);
    key_ = fmt::format("{}:check:{}", config_.redis->prefix, random_text(10));
    redis::ClientOptions options = client_options(std::move(*url), *config_.redis);
    options.asks_role = true;
    options.progress = [this](const std::string& step) { say(Mark::ok, step); };
    client_ = std::make_unique<redis::Client>(
        loop_, std::move(options), [this](const redis::Client::State& state) { changed(state); });
    client_->start();
    loop_.run();
    client_.reset();
    return printed_;
}

void ConnectCheck::changed(const redis::Client::State& state) {
    if (is_over_) return;
    if (state.connected) {
        was_connected_ = true;
        return connected();
    }
    say(Mark::fail, state.why);
    finish();
}

void ConnectCheck::connected() {
    const redis::Url& url = client_->url();
    const redis::Session& session = client_->session();
    if (url.password.empty())
        say(Mark::ok, "no password is given or asked for");
    else
        say(Mark::ok, fmt::format("logged in as {}",
                                  url.username.empty() ? "the default user" : url.username));
    if (url.is_tls && config_.redis->tls.verify == config::Tls::Verify::none)
        say(Mark::note, "redis.tls verify is \"none\": whoever answers may be an impostor");
    say(Mark::ok, fmt::format("it is a master{}{}", session.version.empty() ? "" : ", Redis ",
                              session.version));
    try_commands();
}

void ConnectCheck::try_one(std::vector<std::string> words,
                           std::function<void(const redis::Reply&)> answer) {
    for (std::string& word : words) {
        if (word == "KEY") word = key_;
    }
    ++open_;
    client_->command(std::move(words),
                     [this, answer = std::move(answer)](const Result<redis::Reply>& reply) {
                         --open_;
                         if (is_over_ || !reply)
                             return;  // the connection is lost: told by changed()
                         answer(*reply);
                     });
}

// Where SET is refused, what would make a key that stays is not tried.
void ConnectCheck::try_commands() {
    const auto commands = registry::needed_commands();
    try_one(split(commands.front().probe, ' '), [this, commands](const redis::Reply& set) {
        judge(commands.front(), set);
        const bool has_key = !set.is_error() || is_about_keys(set.text);
        for (const registry::NeededCommand& needed : commands.subspan(1)) {
            const bool makes_a_key = needed.rule == "hset" || needed.rule == "sadd" ||
                                     needed.rule == "zadd" || needed.rule == "xadd";
            if (makes_a_key && !has_key) {
                say(Mark::note, fmt::format("{} is not tried while SET is refused", needed.rule));
                continue;
            }
            try_one(split(needed.probe, ' '), [this, &needed](const redis::Reply& reply) {
                judge(needed, reply);
                if (open_ == 0) try_keys();
            });
        }
    });
}

void ConnectCheck::judge(const registry::NeededCommand& needed, const redis::Reply& reply) {
    if (!reply.is_error() || redis::classify(reply.text) != redis::Fault::refused) return;
    if (is_about_keys(reply.text)) {
        refused_keys_.insert(config_.redis->prefix + ":*");
        return;
    }
    if (!needed.without.empty()) {
        say(Mark::note,
            fmt::format("{} is refused: {} (+{})", needed.rule, needed.without, needed.rule));
        return;
    }
    refused_commands_.emplace_back(needed.rule);
    mending_.push_back(fmt::format("+{}", needed.rule));
}

// Taking a member that nobody has out of a key that nobody has: a write that changes nothing.
void ConnectCheck::try_keys() {
    try_queues();
    const auto patterns = patterns_of(config_);
    if (patterns.empty() && open_ == 0) return finish();
    for (const std::string& pattern : patterns) {
        const std::string key =
            pattern.substr(0, pattern.size() - 1) + "muster-check-" + random_text(10);
        try_one({"SREM", key, "muster-check"}, [this, pattern](const redis::Reply& reply) {
            if (reply.is_error() && is_about_keys(reply.text)) refused_keys_.insert(pattern);
            if (open_ == 0) finish();
        });
    }
}

// Only those that a program is scaled by are read whatever its job system.
void ConnectCheck::try_queues() {
    for (const config::Program& program : config_.programs) {
        if (!program.autoscale || !registry::key_patterns(program.registry).empty()) continue;
        for (const std::string& queue : program.autoscale->queues) {
            const std::string pattern = pattern_of(registry::queue_keys({program.registry, queue}));
            const std::string key = registry::queue_keys({program.registry, queue}).back();
            try_one({"LLEN", key}, [this, pattern](const redis::Reply& reply) {
                if (reply.is_error() && is_about_keys(reply.text)) refused_keys_.insert(pattern);
                if (open_ == 0) finish();
            });
        }
    }
}

void ConnectCheck::finish() {
    if (std::exchange(is_over_, true)) return;
    if (was_connected_ && client_->is_connected()) {
        const std::string user =
            client_->url().username.empty() ? "default" : client_->url().username;
        if (!refused_commands_.empty())
            say(Mark::fail,
                fmt::format("not allowed to {}: {}", user, joined(refused_commands_, ", ")));
        else
            say(Mark::ok, "all commands that are needed are allowed");
        const std::vector<std::string> keys(refused_keys_.begin(), refused_keys_.end());
        for (const std::string& pattern : keys) mending_.push_back("~" + pattern);
        if (!keys.empty())
            say(Mark::fail, fmt::format("keys closed to {}: {}", user, joined(keys, ", ")));
        if (!mending_.empty())
            printed_.out += fmt::format("  mend  ACL SETUSER {} {}\n", user, joined(mending_, " "));
        printed_.out += command_sum(config_);
    }
    loop_.stop();
}

}  // namespace

std::string command_sum(const config::Config& config) {
    const config::Redis& redis = *config.redis;
    const auto an_hour = [](Duration interval) {
        return static_cast<std::int64_t>(1h / std::max<Duration>(interval, 1ms));
    };
    constexpr std::int64_t hours_a_month = std::int64_t{30} * 24;
    constexpr std::int64_t commands_a_sweep = 5;
    const auto lease = an_hour(redis.lease_renewal());
    const auto look = an_hour(redis.own_check);
    const auto sweep = an_hour(redis.sweep) * commands_a_sweep;
    Duration queue_look{};  // none
    for (const config::Program& program : config.programs) {
        if (!program.autoscale) continue;
        const Duration each = core::looked_at_each(redis.queue_look(), *program.autoscale);
        queue_look = queue_look > Duration{} ? std::min(queue_look, each) : each;
    }
    const auto queues = queue_look > Duration{} ? an_hour(queue_look) : 0;
    const std::string for_queues = queues > 0
                                       ? fmt::format(", {} for the depth of\nqueues (each {})",
                                                     queues, format_duration(queue_look))
                                       : "";
    return fmt::format(
        "Quiet, this instance sends about {} commands an hour: {} for its lease (each {}), {} to "
        "look at its\nworkers (each {}){}. The fleet together sends {} more for the sweep (each "
        "{}, "
        "about {} commands).\nIn 30 days: {} for each instance, {} once.{}\n",
        lease + look + queues, lease, format_duration(redis.lease_renewal()), look,
        format_duration(redis.own_check), for_queues, sweep, format_duration(redis.sweep),
        commands_a_sweep, (lease + look + queues) * hours_a_month, sweep * hours_a_month,
        redis.economy ? "" : " Where commands are paid for: redis.economy = true.");
}

Printed connect_check(const config::Config& config) {
    if (!config.redis) {
        return {.status = exit_done,
                .out = "--connect: the configuration has no Redis; nothing to try\n",
                .err = {}};
    }
    return ConnectCheck{config}.run();
}

}  // namespace muster::client
