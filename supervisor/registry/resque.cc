#include "registry/resque.h"

#include <array>
#include <charconv>
#include <chrono>
#include <optional>
#include <string_view>
#include <utility>

#include "registry/answers.h"
#include "registry/claims.h"
#include "registry/scripts.h"

namespace muster::registry {
namespace {

std::optional<int> number(std::string_view text) {
    int value = 0;
    const auto [rest, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (code != std::errc{} || rest != text.data() + text.size() || value < 0) return std::nullopt;
    return value;
}

// How far the clock of "+0200", "-0330" or "UTC" is ahead.
std::optional<std::chrono::minutes> zone_ahead(std::string_view zone) {
    if (zone == "UTC") return std::chrono::minutes{0};
    if (zone.size() != 5 || (zone[0] != '+' && zone[0] != '-')) return std::nullopt;
    const auto hours = number(zone.substr(1, 2));
    const auto minutes = number(zone.substr(3, 2));
    if (!hours || !minutes) return std::nullopt;
    const std::chrono::minutes ahead = std::chrono::hours{*hours} + std::chrono::minutes{*minutes};
    return zone[0] == '+' ? ahead : -ahead;
}

// "2026-05-16 03:24:49 +0200", as Ruby prints a time.
std::optional<WallTime> born(const std::string& started) {
    const std::string_view text = started;
    if (text.size() < 23 || text[4] != '-' || text[7] != '-' || text[10] != ' ' ||
        text[13] != ':' || text[16] != ':' || text[19] != ' ')
        return std::nullopt;
    std::array<int, 6> parts{};
    constexpr std::array<std::size_t, 6> at{0, 5, 8, 11, 14, 17};
    for (std::size_t i = 0; i < at.size(); ++i) {
        const auto part = number(text.substr(at[i], i == 0 ? 4 : 2));
        if (!part) return std::nullopt;
        parts[i] = *part;
    }
    const std::chrono::year_month_day day{std::chrono::year{parts[0]},
                                          std::chrono::month{static_cast<unsigned>(parts[1])},
                                          std::chrono::day{static_cast<unsigned>(parts[2])}};
    const auto ahead = zone_ahead(text.substr(20));
    if (!day.ok() || !ahead) return std::nullopt;
    return WallTime{std::chrono::sys_days{day}} + std::chrono::hours{parts[3]} +
           std::chrono::minutes{parts[4]} + std::chrono::seconds{parts[5]} - *ahead;
}

}  // namespace

Resque::Resque(redis::Client& client, SystemOptions options)
    : client_(client),
      options_(std::move(options)),
      search_(client, {resque_find, "resque:workers", born}, options_) {}

void Resque::look(std::vector<Sought> sought, LookDone done) {
    search_.look(std::move(sought), {options_.hostname}, std::move(done));
}

void Resque::release(const Release& release, ReleaseDone done) {
    if (release.registration) missing_.erase(release.registration->name);
    if (release.registration) return release_known(release, *release.registration, std::move(done));
    look({sought_of(release)}, lifeline_.guard(release_found(
                                   client_, options_, release,
                                   [this, release, done](const Registration& known) {
                                       release_known(release, known, done);
                                   },
                                   done)));
}

void Resque::check(std::vector<Present> workers, CheckDone done) {
    std::vector<std::string> keys{"resque:workers"};
    std::vector<std::string> args;
    std::vector<std::string> names;
    for (const auto& [known, heartbeat] : workers) {
        keys.push_back("resque:worker:" + known.name + ":started");
        args.insert(args.end(),
                    {known.name, known.birth, missing_.contains(known.name) ? "1" : "0"});
        names.push_back(known.name);
    }
    client_.eval(resque_check, std::move(keys), std::move(args),
                 lifeline_.guard([this, names = std::move(names),
                                  done = std::move(done)](const Result<redis::Reply>& reply) {
                     if (!reply) return done(reply.error());
                     if (!reply->is_array() || reply->elements.size() != names.size())
                         return done(unexpected("looking at own workers", *reply));
                     std::vector<Presence> seen(names.size());
                     for (std::size_t i = 0; i < names.size(); ++i) {
                         const std::string& word = reply->elements[i].text;
                         if (word == "foreign") seen[i].state = Presence::State::foreign;
                         if (word == "put-back") seen[i].state = Presence::State::put_back;
                         if (word == "missing")
                             missing_.insert(names[i]);
                         else
                             missing_.erase(names[i]);
                     }
                     done(std::move(seen));
                 }));
}

void Resque::release_known(const Release& release, const Registration& known, ReleaseDone done) {
    const std::string key = "resque:worker:" + known.name;
    client_.eval(
        resque_release,
        {"resque:workers", "resque:workers:heartbeat", "resque:pruning_dead_workers_in_progress",
         key, key + ":started", claim_key(options_.prefix, release.name)},
        {known.name, known.birth, claim_value(options_.owner, release.process),
         release.jobs == core::Jobs::leave ? "0" : "1"},
        answer_released(std::move(done)));
}

}  // namespace muster::registry
