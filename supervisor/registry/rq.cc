#include "registry/rq.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <unordered_map>

#include "base/text.h"
#include "registry/answers.h"
#include "registry/claims.h"
#include "registry/rq_result.h"
#include "registry/scripts.h"
#include "registry/work.h"

namespace muster::registry {
namespace {

constexpr auto clock_tolerance = std::chrono::seconds{2};  // between our clock and the worker's
constexpr std::size_t names_a_look = 200;                  // keep each script below a millisecond
constexpr const char* page_size = "500";

std::string worker_key(const std::string& name) {
    return "rq:worker:" + name;
}

// "2026-05-16T01:24:48.287000Z", as RQ writes a birth: such texts compare as their times do.
std::string rq_time(WallTime time) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
    return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06}Z",
                       fmt::gmtime(std::chrono::system_clock::to_time_t(seconds)),
                       (time - seconds).count());
}

std::string earliest_birth(WallTime spawned_at) {
    return rq_time(spawned_at - clock_tolerance);
}

// RQ's "version" only for the job system's own rules: kept as it is.
std::optional<Registration> registration(const std::string& name,
                                         const std::vector<redis::Reply>& row) {
    if (row.size() != 5) return std::nullopt;
    if (!std::ranges::all_of(row, &redis::Reply::is_text)) return std::nullopt;
    Registration found;
    found.name = name;
    found.pid = row[0].text;
    found.hostname = row[1].text;
    found.birth = row[2].text;
    if (!row[3].text.empty()) found.queues = split(row[3].text, ',');
    found.version = row[4].text;
    return found;
}

std::optional<Presence> presence_of(const redis::Reply& row) {
    const auto& words = row.elements;
    if (words.size() != 5 || !std::ranges::all_of(words, &redis::Reply::is_text))
        return std::nullopt;
    Presence seen;
    if (words[0].text == "put-back") seen.state = Presence::State::put_back;
    if (words[0].text == "foreign") seen.state = Presence::State::foreign;
    if (words[0].text == "ended") seen.state = Presence::State::ended;
    seen.heartbeat = words[1].text;
    seen.status = words[2].text;
    seen.job = words[3].text;
    std::int64_t timeout = 0;  // -1: it may take for ever
    const std::string& text = words[4].text;
    std::from_chars(text.data(), text.data() + text.size(), timeout);
    if (timeout > 0) seen.job_timeout = std::chrono::seconds{timeout};
    return seen;
}

const char* way_text(core::Jobs jobs) {
    switch (jobs) {
        case core::Jobs::hand_back:
            return "hand-back";
        case core::Jobs::fail:
            return "fail";
        case core::Jobs::leave:
            return "leave";
    }
    return "leave";
}

const char* proof_text(Proof proof) {
    switch (proof) {
        case Proof::reaped:
            return "reaped";
        case Proof::same_place:
            return "same-place";
        case Proof::lease_over:
            return "lease-over";
    }
    return "lease-over";
}

std::string death_text(const Release& release, const Registration& known) {
    return fmt::format("the worker {} (pid {} on {}) died with this job in hand{}{}", known.name,
                       known.pid, known.hostname, release.reason.empty() ? "" : ": ",
                       release.reason);
}

std::string told_on_job(const Release& release, const Registration& known) {
    return fmt::format("muster: {}{}", death_text(release, known),
                       release.jobs == core::Jobs::fail ? "; failed by jobs = \"fail\"" : "");
}

std::string told_of_poison(const Release& release, const Registration& known) {
    return fmt::format(
        "muster: this job was in hand at {} deaths of workers within {}: failed and kept "
        "(program.poison). The last: {}",
        release.poison.deaths, format_duration(release.poison.within), death_text(release, known));
}

}  // namespace

// One look under way: answered when nothing is open any more.
struct Rq::Search {
    std::vector<Found> found;
    std::size_t open = 0;  // batches of names without an answer
    std::optional<Error> error;
    LookDone done;

    void finish() {
        if (error)
            done(*error);
        else
            done(std::move(found));
    }
};

Rq::Rq(redis::Client& client, SystemOptions options)
    : client_(client), options_(std::move(options)) {}

std::string Rq::holder_key(const std::string& name) const {
    return worker_key(name);
}

void Rq::work(std::vector<std::string> names, WorkDone done) {
    for (std::string& name : names) name = worker_key(name);
    const auto judge = [](std::string_view state) {
        if (state == "busy") return Work::busy;
        return state.empty() ? Work::unknown : Work::idle;
    };
    ask_work(client_, std::move(names), "state", judge, std::move(done));
}

bool Rq::is_theirs(const Registration& found, const Sought& sought) const {
    if (found.hostname != options_.hostname) return false;
    const bool is_by_name = sought.is_name_unique && found.name == sought.name;
    if (!is_by_name && found.birth < earliest_birth(sought.spawned_at)) return false;
    pid_t pid = 0;
    const auto* end = found.pid.data() + found.pid.size();
    const auto [rest, code] = std::from_chars(found.pid.data(), end, pid);
    if (code != std::errc{} || rest != end || pid <= 0) return false;
    if (Pid{pid} == sought.pid) return true;
    return options_.is_of_family && options_.is_of_family(Pid{pid}, sought);
}

void Rq::look(std::vector<Sought> sought, LookDone done) {
    auto search = std::make_shared<Search>();
    search->done = std::move(done);
    search->found.reserve(sought.size());
    for (auto& one : sought) search->found.emplace_back(std::move(one), std::nullopt);
    look_by_name(search);
}

void Rq::look_by_name(const std::shared_ptr<Search>& search) {
    const std::size_t batches =
        std::max<std::size_t>(1, (search->found.size() + names_a_look - 1) / names_a_look);
    search->open = batches;
    for (std::size_t first = 0; first == 0 || first < search->found.size(); first += names_a_look) {
        const std::size_t end = std::min(first + names_a_look, search->found.size());
        std::vector<std::string> keys;
        for (std::size_t i = first; i < end; ++i)
            keys.push_back(worker_key(search->found[i].first.name));
        client_.eval(rq_look, std::move(keys), {},
                     lifeline_.guard([this, search, first, end](const Result<redis::Reply>& reply) {
                         take_rows(*search, first, end, reply);
                         if (--search->open > 0) return;
                         const bool is_done =
                             search->error || std::ranges::none_of(search->found, needs_search);
                         if (is_done)
                             search->finish();
                         else
                             look_by_process(search, "0");
                     }));
    }
}

void Rq::take_rows(Search& search,
                   std::size_t first,
                   std::size_t end,
                   const Result<redis::Reply>& reply) const {
    if (!reply) {
        search.error = reply.error();
        return;
    }
    if (!reply->is_array() || reply->elements.size() != end - first) {
        search.error = unexpected("looking for workers", *reply);
        return;
    }
    for (std::size_t i = first; i < end; ++i) {
        auto& [sought, found] = search.found[i];
        auto row = registration(sought.name, reply->elements[i - first].elements);
        if (row && is_theirs(*row, sought)) found = std::move(row);
    }
}

bool Rq::needs_search(const Found& found) {
    return !found.second && found.first.may_choose_own_name;
}

// Page by page through all registered workers, each page one short script.
void Rq::look_by_process(const std::shared_ptr<Search>& search, const std::string& cursor) {
    client_.eval(
        rq_find, {"rq:workers"}, {cursor, page_size, options_.hostname},
        lifeline_.guard([this, search](Result<redis::Reply> reply) {
            const bool is_well_formed = reply && reply->is_array() && reply->elements.size() == 2 &&
                                        reply->elements[0].is_text();
            if (!is_well_formed) {
                search->error = reply ? unexpected("looking for workers", *reply) : reply.error();
                search->finish();
                return;
            }
            take_page(*search, reply->elements[1].elements);
            const std::string& next = reply->elements[0].text;
            if (next == "0" || std::ranges::none_of(search->found, needs_search))
                search->finish();
            else
                look_by_process(search, next);
        }));
}

void Rq::take_page(Search& search, const std::vector<redis::Reply>& rows) const {
    for (const auto& row : rows) {
        if (row.elements.size() != 6) continue;
        const std::vector<redis::Reply> fields(row.elements.begin() + 1, row.elements.end());
        const auto candidate = registration(row.elements[0].text, fields);
        if (!candidate) continue;
        for (auto& found : search.found) {
            if (needs_search(found) && is_theirs(*candidate, found.first)) {
                found.second = candidate;
                break;
            }
        }
    }
}

void Rq::release(const Release& release, ReleaseDone done) {
    if (release.registration || !release.may_choose_own_name) {
        release_known(release, std::move(done));
        return;
    }
    // It died before it was seen, perhaps under a name of its own.
    look({Sought{.process = release.process,
                 .incarnation = release.incarnation,
                 .name = release.name,
                 .pid = release.pid,
                 .spawned_at = release.spawned_at,
                 .may_choose_own_name = true}},
         lifeline_.guard([this, release, done = std::move(done)](Result<std::vector<Found>> found) {
             if (!found) {
                 done(found.error());
                 return;
             }
             Release known = release;
             known.registration = found->front().second;
             release_known(known, done);
         }));
}

void Rq::release_known(const Release& release, ReleaseDone done) {
    const bool is_known = release.registration.has_value();
    const Registration known = release.registration.value_or(Registration{
        .name = release.name,
        .pid = std::to_string(release.pid.value()),
        .hostname = release.hostname,
        .birth = {},
        .queues = {},
        .version = {},
    });
    const std::string key = worker_key(known.name);
    const bool is_reaped = release.proof == Proof::reaped;
    const Estate estate = release.estate.value_or(Estate{});
    std::vector<std::string> args{
        known.name,
        known.pid,
        known.hostname,
        known.birth,
        is_known || release.is_name_unique ? std::string{} : earliest_birth(release.spawned_at),
        is_reaped ? claim_value(options_.owner, release.process) : estate.instance + "/",
        way_text(release.jobs),
        known.version,
        proof_text(release.proof),
        estate.instance,
        estate.given,
        estate.value,
        ms_text(options_.between_looks),
        options_.prefix + ":deaths:rq:",
        std::to_string(release.poison.deaths),
        ms_text(release.poison.within),
        release.death,
        as_exc_string(told_on_job(release, known)),
        as_exc_string(told_of_poison(release, known)),
    };
    args.insert(args.end(), known.queues.begin(), known.queues.end());
    client_.eval(rq_release,
                 {key, "rq:workers", key + ":executions", claim_key(options_.prefix, release.name),
                  options_.prefix + ":looks:rq", options_.prefix + ":instances",
                  options_.prefix + ":roll:" + estate.instance},
                 std::move(args),
                 lifeline_.guard([done = std::move(done)](Result<redis::Reply> reply) {
                     if (reply)
                         done(released(*reply));
                     else
                         done(reply.error());
                 }));
}

void Rq::check(std::vector<Present> workers, CheckDone done) {
    std::vector<std::string> keys;
    std::vector<std::string> args;
    for (const auto& [known, heartbeat] : workers) {
        keys.push_back(worker_key(known.name));
        for (const std::string& word : {known.name, known.pid, known.hostname, known.birth,
                                        joined(known.queues, ","), known.version, heartbeat})
            args.push_back(word);
    }
    client_.eval(rq_check, std::move(keys), std::move(args),
                 lifeline_.guard([done = std::move(done)](const Result<redis::Reply>& reply) {
                     if (!reply) return done(reply.error());
                     if (!reply->is_array()) return done(unexpected("looking at workers", *reply));
                     std::vector<Presence> seen;
                     for (const redis::Reply& row : reply->elements) {
                         auto one = presence_of(row);
                         if (!one) return done(unexpected("looking at workers", *reply));
                         seen.push_back(std::move(*one));
                     }
                     done(std::move(seen));
                 }));
}

// What it does is seen by the next one: no answer is waited for.
void Rq::keep(const Registration& known) {
    std::vector<std::string> args{known.name, known.pid, known.hostname, known.birth};
    args.insert(args.end(), known.queues.begin(), known.queues.end());
    client_.eval(rq_keep, {worker_key(known.name)}, std::move(args),
                 [](const Result<redis::Reply>&) {});
}

}  // namespace muster::registry
