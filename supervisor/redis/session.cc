#include "redis/session.h"

#include <algorithm>
#include <charconv>

namespace muster::redis {
namespace {

constexpr const char* script = R"(
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local id = redis.call('HGET', KEYS[1], 'id')
local made_at = redis.call('HGET', KEYS[1], 'made_at')
if not id or not tonumber(made_at) then
    id, made_at = ARGV[1], now
    redis.call('HSET', KEYS[1], 'id', id, 'made_at', string.format('%.0f', now))
end
redis.call('HSET', KEYS[1], 'seen_at', string.format('%.0f', now))
return {id, string.format('%.0f', math.max(0, now - made_at))}
)";

}  // namespace

std::vector<std::string> dataset_question(const std::string& key, const std::string& new_id) {
    return {"EVAL", script, "1", key, new_id};
}

std::optional<Dataset> read_dataset(const Reply& reply, const std::string& new_id) {
    const auto& parts = reply.elements;
    if (!reply.is_array() || parts.size() != 2 || !std::ranges::all_of(parts, &Reply::is_text))
        return std::nullopt;
    const std::string& text = parts[1].text;
    std::int64_t age = 0;
    const auto [rest, code] = std::from_chars(text.data(), text.data() + text.size(), age);
    if (code != std::errc{} || rest != text.data() + text.size() || age < 0) return std::nullopt;
    // A clock that was set may make it older than any clock of ours can say.
    constexpr std::int64_t a_year = 366LL * 24 * 3600 * 1000;
    return Dataset{.id = parts[0].text,
                   .age = std::chrono::milliseconds{std::min(age, a_year)},
                   .is_new = parts[0].text == new_id};
}

std::optional<Greeting> read_hello(const Reply& reply) {
    if (!reply.is_array()) return std::nullopt;
    std::optional<bool> is_master;
    Greeting greeting;
    for (std::size_t i = 0; i + 1 < reply.elements.size(); i += 2) {
        const Reply& key = reply.elements[i];
        const Reply& value = reply.elements[i + 1];
        if (!key.is_text() || !value.is_text()) continue;
        if (key.text == "version") greeting.version = value.text;
        if (key.text == "role") is_master = value.text == "master";
    }
    if (!is_master) return std::nullopt;
    greeting.is_master = *is_master;
    return greeting;
}

std::optional<bool> read_role(const Reply& reply) {
    if (!reply.is_array() || reply.elements.empty() || !reply.elements[0].is_text())
        return std::nullopt;
    return reply.elements[0].text == "master";
}

std::optional<bool> read_info_replication(const Reply& reply) {
    if (!reply.is_text()) return std::nullopt;
    const std::string role = info_value(reply.text, "role");
    if (role.empty()) return std::nullopt;
    return role == "master";
}

std::string info_value(std::string_view info, std::string_view key) {
    while (!info.empty()) {
        const auto end = std::min(info.find('\n'), info.size());
        auto line = info.substr(0, end);
        info.remove_prefix(std::min(end + 1, info.size()));
        if (!line.starts_with(key)) continue;
        line.remove_prefix(key.size());
        if (line.empty() || line.front() != ':') continue;
        line.remove_prefix(1);
        while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
        return std::string(line);
    }
    return {};
}

// Where Redis does not tell its run id or takes no marker, a change cannot be seen: then only what
// is told counts.
Session judged(Session fresh,
               const std::optional<Dataset>& dataset,
               const std::optional<Session>& before,
               TimePoint now) {
    if (dataset) fresh.dataset = dataset->id;
    const bool is_other_server = before && !before->run_id.empty() && !fresh.run_id.empty() &&
                                 before->run_id != fresh.run_id;
    const bool is_other_dataset = before && !before->dataset.empty() && !fresh.dataset.empty() &&
                                  before->dataset != fresh.dataset;
    const TimePoint made_at = dataset ? now - dataset->age : now;
    fresh.is_new_dataset = is_other_dataset || (dataset && dataset->is_new);
    if (is_other_server || is_other_dataset)
        fresh.steady_since = now;
    else if (before && (!dataset || before->dataset == fresh.dataset))
        fresh.steady_since = before->steady_since;
    else
        fresh.steady_since = made_at;
    return fresh;
}

}  // namespace muster::redis
