#include "daemon/registrar.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "config/load.h"
#include "registry/member_sets.h"

namespace muster::daemon {

namespace {

using namespace std::chrono_literals;

// A worker registers some 0.2 s after its spawn: looked for often at first, less often while it
// takes its time.
constexpr Duration first_look = 50ms;
constexpr Duration rarest_look = 1s;
constexpr Duration keep_pause =
    30s;  // as RQ's busy workers; an entry counts as abandoned after 90 s

redis::TlsSettings redis_tls(const config::Tls& tls) {
    using Verify = redis::TlsSettings::Verify;
    Verify verify = Verify::full;
    if (tls.verify == config::Tls::Verify::ca) verify = Verify::ca;
    if (tls.verify == config::Tls::Verify::none) verify = Verify::none;
    return {tls.ca_file, verify, tls.cert_file, tls.key_file};
}

// A secret that was changed is read when the connection is made anew: the file is small and local.
Result<redis::Url> url_in(const std::string& file) {
    auto text = config::read_url_file(file);
    if (!text) return text.error();
    return redis::parse_url(*text);
}

}  // namespace

const char* verdict_text(registry::Released::Verdict verdict) {
    switch (verdict) {
        case registry::Released::Verdict::removed:
            return "removed";
        case registry::Released::Verdict::nothing_there:
            return "nothing-there";
        case registry::Released::Verdict::zombie_removed:
            return "scrap-removed";
        case registry::Released::Verdict::mismatch:
            return "mismatch";
        case registry::Released::Verdict::told:
            return "told";
        case registry::Released::Verdict::left:
            return "left-alone";
        case registry::Released::Verdict::alive:
            return "alive";
        case registry::Released::Verdict::looked:
            return "looked";
        case registry::Released::Verdict::taken:
            return "taken";
    }
    return "?";
}

redis::ClientOptions Registrar::client_options(redis::Url url, const config::Redis& settings) {
    is_unverified_ = url.is_tls && settings.tls.verify == config::Tls::Verify::none;
    redis::ClientOptions options;
    options.url = std::move(url);
    options.connect_timeout = settings.connect_timeout;
    options.command_timeout = settings.command_timeout;
    options.tls = redis_tls(settings.tls);
    options.dataset_key = settings.prefix + ":dataset";
    if (!settings.url_file.empty())
        options.read_url = [file = settings.url_file] { return url_in(file); };
    options.refused = [this](const std::string& command, const Error& why) {
        log_.warn("redis-refuses",
                  {{"command", command}, {"reason", why.message()}, {"hint", why.hint()}});
    };
    return options;
}

Registrar::Registrar(loop::Loop& loop,
                     Log& log,
                     redis::Url url,
                     const config::Redis& settings,
                     RegistrarOptions options,
                     RegistrarEvents events)
    : loop_(loop),
      log_(log),
      events_(std::move(events)),
      client_(loop,
              client_options(std::move(url), settings),
              [this](const redis::Client::State& state) { redis_changed(state); }),
      options_(std::move(options.system)),
      claims_(loop, client_, {options_.prefix, options_.owner}),
      debts_(loop,
             {[this](const registry::Release& release,
                     std::function<void(Result<registry::Released>)> done) {
                  system(release.kind).release(release, std::move(done));
              },
              [this] { return client_.is_connected(); }},
             [this](const registry::Release& release, const registry::Released& released) {
                 paid(release, released);
             }),
      roll_(loop, client_, options_.prefix, std::move(options.us), roll_events()),
      earlier_lives_(loop, log, roll_.me(), std::move(options.steps_of)),
      vetoes_(client_, registry::member_sets(registry::RegistryKind::rq)->signs),
      settlement_(loop, client_, options_.prefix, roll_.me(), settlement_tools()),
      attendance_(loop, settings.own_check, attendance_tools()),
      keep_timer_(loop, [this] { keep_all(); }),
      look_pause_(first_look),
      look_timer_(loop, [this] { look(); }) {}

std::string Registrar::trouble() const {
    if (is_away()) return client_.state().why;
    if (is_refused_)
        return "looking for workers was refused by Redis; muster check --connect says why";
    return debts_.count() > 0 ? debts_.last_error() : std::string{};
}

void Registrar::warn_of_unverified() {
    if (!std::exchange(is_unverified_, false)) return;
    log_.warn("redis-not-verified",
              {{"url", shown_url()},
               {"reason", "redis.tls verify is \"none\": whoever answers may be an impostor"},
               {"hint", "name the server's CA in redis.tls: ca_file"}});
}

void Registrar::redis_changed(const redis::Client::State& state) {
    if (state.connected) {
        warn_of_unverified();
        const redis::Session& session = client_.session();
        log_.info("redis-connected", {{"url", shown_url()},
                                      {"version", session.version},
                                      {"dataset", session.is_new_dataset ? "new" : ""},
                                      {"debts", std::to_string(debts_.count())}});
        roll_.connected();
        attendance_.connected();
        keep_all();
        debts_.pay_now();
        settle_place();
        if (!sought_.empty()) look_timer_.arm(loop_.now());
    } else {
        roll_.disconnected();
        attendance_.disconnected();
        log_.warn("redis-away", {{"url", shown_url()}, {"reason", state.why}});
    }
    events_.redis_changed(!state.connected);
}

void Registrar::seek(registry::Sought sought) {
    forget(sought.process);
    sought_.push_back(std::move(sought));
    look_pause_ = first_look;
    if (!is_away()) look_timer_.arm(loop_.now() + look_pause_);
}

void Registrar::forget(ProcessId process) {
    std::erase_if(sought_, [&](const registry::Sought& s) { return s.process == process; });
    if (sought_.empty()) look_timer_.disarm();
}

// Only kinds with an adapter come here: config/ refuses the others.
registry::System& Registrar::system(registry::RegistryKind kind) {
    auto& system = systems_[kind];
    if (!system) system = registry::make_system(kind, client_, options_);
    return *system;
}

// A worker that ends before it was seen may have met a Redis that takes no more writes (OOM: what
// only deletes is still done). One write of our own shows it: then it counts as away (I13).
void Registrar::release(registry::Release release) {
    claims_.let_go(release.process);
    const bool was_seen = release.registration.has_value();
    debts_.add(std::move(release));
    if (!was_seen && !is_away()) client_.look_at_dataset(Duration{}, [](const Result<bool>&) {});
}

// One call a kind for all that are looked for. Nobody is looked for in a settled fleet, and then
// nothing is asked.
void Registrar::look() {
    if (is_away() || open_looks_ > 0 || sought_.empty()) return;
    std::map<registry::RegistryKind, std::vector<registry::Sought>> by_kind;
    for (const auto& sought : sought_) by_kind[sought.kind].push_back(sought);
    open_looks_ = by_kind.size();
    for (auto& [kind, sought] : by_kind) {
        system(kind).look(
            std::move(sought),
            lifeline_.guard([this](const Result<std::vector<registry::System::Found>>& result) {
                looked(result);
            }));
    }
}

void Registrar::looked(const Result<std::vector<registry::System::Found>>& result) {
    --open_looks_;
    const bool was_refused = std::exchange(is_refused_, !result.ok() && !is_away());
    if (was_refused && result) events_.redis_changed(false);
    if (result) {
        for (const auto& [sought, found] : *result) {
            if (!found) continue;
            const auto still = std::find_if(
                sought_.begin(), sought_.end(), [&, &who = sought](const registry::Sought& s) {
                    return s.process == who.process && s.incarnation == who.incarnation;
                });
            if (still == sought_.end()) continue;  // it died meanwhile
            sought_.erase(still);
            roll_.registered(sought.name, *found);
            events_.registered(sought, *found);
        }
    }
    if (open_looks_ > 0 || sought_.empty() || is_away()) return;
    look_timer_.arm(loop_.now() + look_pause_);
    look_pause_ = std::min(look_pause_ + look_pause_ / 4, rarest_look);
}

void Registrar::drop_claim(const registry::Claim& claim) {
    claims_.let_go(claim.process);
    claims_.drop(claim);
}

void Registrar::work(registry::RegistryKind kind,
                     std::vector<std::string> names,
                     registry::System::WorkDone done) {
    if (is_away()) return done(Error{"Redis is away"});
    system(kind).work(std::move(names), lifeline_.guard(std::move(done)));
}

void Registrar::claim(registry::RegistryKind kind,
                      registry::Claim claim,
                      std::function<void(Outcome)> done) {
    claim.holder_key = system(kind).holder_key(claim.name);
    claims_.claim(claim, [this, claim,
                          done = std::move(done)](Result<registry::ClaimOutcome> result) {
        const std::string& name = claim.name;
        if (!result)
            return done(result.error().while_doing(fmt::format("claiming the name '{}'", name)));
        if (result->claimed) {
            claims_.hold(claim);
            return done(Done{});
        }
        const std::string who =
            result->pid.empty()
                ? fmt::format("another supervisor ({})", result->claimed_by)
                : fmt::format("a worker with pid {} on {}", result->pid, result->hostname);
        const std::string since = result->since.empty() ? std::string{} : " since " + result->since;
        done(Error{fmt::format("the name '{}' is held by {}{}", name, who, since),
                   "stop that worker, or put {rand} into the program's name"});
    });
}

void Registrar::paid(const registry::Release& release, const registry::Released& released) {
    const bool is_odd = released.verdict == registry::Released::Verdict::mismatch;
    log_.write(is_odd ? LogLevel::warn : LogLevel::info, "released",
               {{"name", release.registration ? release.registration->name : release.name},
                {"pid", std::to_string(release.pid.value())},
                {"verdict", verdict_text(released.verdict)},
                {"handed_back", joined(released.handed_back, ",")},
                {"failed", joined(released.failed, ",")},
                {"detail", released.detail}});
    roll_.remove(release.name);
    events_.released(release, released);
}

// Only once in our life: who dies in this place afterwards is settled when its lease is over.
void Registrar::settle_place() {
    if (is_place_settled_) return events_.place_settled();
    settlement_.settle_place(lifeline_.guard([this](bool is_whole) {
        if (!is_whole && is_away()) return;  // once more when it is back
        is_place_settled_ = is_whole;
        events_.place_settled();
    }));
}

registry::RollEvents Registrar::roll_events() {
    return {[this](const std::vector<std::string>& over) {
                roll_trouble_.clear();
                if (roll_.may_judge()) settlement_.settle(over);
            },
            [this] {
                log_.warn("forgotten",
                          {{"instance", roll_.me().id},
                           {"hint",
                            "Redis was emptied, or did not hear from us for so long that others "
                            "have settled us; our part of the roll is written anew"}});
            },
            [this](const Error& error) { roll_trouble(error); }};
}

registry::SettlementTools Registrar::settlement_tools() {
    return {.witness =
                [this](const registry::InstanceFacts& other,
                       const std::vector<registry::RollEntry>& entries,
                       std::function<void(registry::Witnessed)> done) {
                    earlier_lives_.witness(other, entries, std::move(done));
                },
            .release =
                [this](const registry::Release& release, registry::System::ReleaseDone done) {
                    system(release.kind).release(release, std::move(done));
                },
            // The script sees the subscribers; here only who has a connection of its name.
            .vetoes =
                [this](std::vector<std::string> names,
                       std::function<void(Result<std::vector<bool>>)> done) {
                    vetoes_.start_anew();
                    vetoes_.ask(std::move(names),
                                [done = std::move(done)](
                                    const Result<std::vector<registry::Veto>>& vetoes) {
                                    if (!vetoes) return done(vetoes.error());
                                    std::vector<bool> connected;
                                    for (const registry::Veto veto : *vetoes)
                                        connected.push_back(veto == registry::Veto::connected);
                                    done(std::move(connected));
                                });
                },
            .settled =
                [this](const registry::InstanceFacts& whose, const registry::Release& release,
                       const registry::Released& released) {
                    log_.info("settled", {{"name", release.registration ? release.registration->name
                                                                        : release.name},
                                          {"pid", std::to_string(release.pid.value())},
                                          {"host", release.hostname},
                                          {"instance", whose.id},
                                          {"verdict", verdict_text(released.verdict)},
                                          {"handed_back", joined(released.handed_back, ",")},
                                          {"failed", joined(released.failed, ",")},
                                          {"reason", release.reason},
                                          {"detail", released.detail}});
                },
            .left = [this](const registry::InstanceFacts& whose,
                           const std::string& why) { left(whose, why); },
            .trouble = [this](const Error& error) { roll_trouble(error); }};
}

// While Redis is away that has been told; what it refuses is told once.
void Registrar::roll_trouble(const Error& error) {
    if (is_away() || error.message() == roll_trouble_) return;
    roll_trouble_ = error.message();
    log_.warn("roll-not-kept",
              {{"reason", error.message()},
               {"hint",
                "without it nobody settles what this instance leaves when it is killed; muster's "
                "user needs the commands of docs/redis-faults.md"}});
}

void Registrar::left(const registry::InstanceFacts& whose, const std::string& why) {
    constexpr std::size_t most_remembered = 1000;
    if (left_.size() > most_remembered) left_.clear();
    std::string& told = left_[whose.id];
    if (told == why) return;
    told = why;
    log_.info("left", {{"instance", whose.id}, {"host", whose.host}, {"reason", why}});
}

registry::AttendanceTools Registrar::attendance_tools() {
    return {[this](registry::RegistryKind kind, std::vector<registry::Present> workers,
                   registry::System::CheckDone done) {
                system(kind).check(std::move(workers), std::move(done));
            },
            [this](ProcessId, Incarnation, const std::string& name) {
                log_.warn("put-back", {{"name", name},
                                       {"hint",
                                        "it lives, but had fallen out of the registry: Redis was "
                                        "emptied, or the worker was cut off or stopped for long"}});
            },
            [this](ProcessId process, Incarnation incarnation, const std::string& why) {
                events_.judged(process, incarnation, why);
            }};
}

void Registrar::keep(ProcessId process,
                     registry::RegistryKind kind,
                     const registry::Registration& as) {
    kept_.insert_or_assign(process, Kept{kind, as});
    keep_all();
}

void Registrar::keep_no_more(ProcessId process) {
    kept_.erase(process);
    if (kept_.empty()) keep_timer_.disarm();
}

void Registrar::keep_all() {
    if (kept_.empty() || is_away()) return;
    for (const auto& [process, one] : kept_) system(one.kind).keep(one.registration);
    keep_timer_.arm(loop_.now() + keep_pause);
}

}  // namespace muster::daemon
