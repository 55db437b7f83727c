#include "daemon/registrar.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "config/load.h"

namespace muster::daemon {

namespace {

using namespace std::chrono_literals;

// A worker registers some 0.2 s after its spawn: looked for often at first, less often while it
// takes its time.
constexpr Duration first_look = 50ms;
constexpr Duration rarest_look = 1s;

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
                     registry::SystemOptions options,
                     RegistrarEvents events)
    : loop_(loop),
      log_(log),
      events_(std::move(events)),
      client_(loop,
              client_options(std::move(url), settings),
              [this](const redis::Client::State& state) { redis_changed(state); }),
      options_(std::move(options)),
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
        debts_.pay_now();
        if (!sought_.empty()) look_timer_.arm(loop_.now());
    } else {
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
            if (claim.holder_key.empty()) claims_.hold(claim);
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
                {"detail", released.detail}});
    events_.released(release, released);
}

}  // namespace muster::daemon
