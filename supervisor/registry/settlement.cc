#include "registry/settlement.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "registry/answers.h"
#include "registry/scripts.h"

namespace muster::registry {
namespace {

// Longer than the two looks are apart: the lock also paces the looks at one instance.
constexpr Duration lock_lasts = std::chrono::seconds{61};

std::optional<RegistryKind> kind_named(std::string_view word) {
    for (const RegistryKind kind :
         {RegistryKind::rq, RegistryKind::sidekiq, RegistryKind::resque, RegistryKind::dramatiq,
          RegistryKind::celery, RegistryKind::bullmq, RegistryKind::custom, RegistryKind::arq,
          RegistryKind::huey, RegistryKind::bee_queue, RegistryKind::node_resque}) {
        if (core::traits(kind).word == word) return kind;
    }
    return std::nullopt;
}

// From afar only RQ's own criterion is known; what the others leave they clean up themselves, and
// of home-made workers nothing tells that they do not live.
bool is_left_to_its_system(const Release& release) {
    switch (release.kind) {
        case RegistryKind::rq:
            return false;
        case RegistryKind::sidekiq:
        case RegistryKind::resque:
        case RegistryKind::custom:
            return release.proof == Proof::lease_over;
        case RegistryKind::none:
        case RegistryKind::dramatiq:
        case RegistryKind::celery:
        case RegistryKind::bullmq:
        case RegistryKind::arq:
        case RegistryKind::huey:
        case RegistryKind::bee_queue:
        case RegistryKind::node_resque:
            return true;
    }
    return true;
}

bool is_settled(Released::Verdict verdict) {
    switch (verdict) {
        case Released::Verdict::removed:
        case Released::Verdict::nothing_there:
        case Released::Verdict::zombie_removed:
        case Released::Verdict::mismatch:
        case Released::Verdict::told:
        case Released::Verdict::left:
            return true;
        case Released::Verdict::alive:
        case Released::Verdict::looked:
        case Released::Verdict::taken:
            return false;
    }
    return false;
}

}  // namespace

// One instance that is being settled.
struct Settlement::Case {
    InstanceFacts facts;
    Proof proof = Proof::reaped;
    CaseDone done;
    std::vector<RollEntry> entries;
    std::vector<std::size_t> open;   // of the entries: still to be released
    std::vector<std::size_t> again;  // alive at this try
    std::vector<std::size_t> settled;
    std::size_t home_made = 0;  // of them, whose registration stays
    std::size_t in_flight = 0;
    int tries = 0;
    std::string kept_by;  // why an entry is left
    std::optional<Error> error;
    std::unique_ptr<loop::Timer> timer;
};

Settlement::Settlement(loop::Loop& loop,
                       redis::Client& client,
                       std::string prefix,
                       const InstanceFacts& me,
                       SettlementTools tools)
    : loop_(loop), client_(client), prefix_(std::move(prefix)), me_(me), tools_(std::move(tools)) {}

Settlement::~Settlement() = default;

void Settlement::settle_place(std::function<void(bool)> done) {
    read_instances_of(
        client_, prefix_, me_.place,
        lifeline_.guard([this, done = std::move(done)](Result<std::vector<InstanceFacts>> found) {
            if (!found) {
                tools_.trouble(found.error());
                return done(false);
            }
            std::erase_if(*found, [this](const InstanceFacts& one) { return one.id == me_.id; });
            next_of_place(std::make_shared<std::vector<InstanceFacts>>(std::move(*found)), done);
        }));
}

// One after the other: there is mostly one.
void Settlement::next_of_place(const std::shared_ptr<std::vector<InstanceFacts>>& open,
                               const std::function<void(bool)>& done) {
    if (open->empty()) return done(true);
    auto one = std::make_shared<Case>();
    one->facts = std::move(open->back());
    open->pop_back();
    one->proof = Proof::same_place;
    one->done = [this, open, done](bool is_whole) {
        if (!is_whole) return done(false);
        next_of_place(open, done);
    };
    under_way_.push_back(one);
    read_roll(client_, prefix_, one->facts.id,
              lifeline_.guard([this, one](Result<std::vector<RollEntry>> entries) {
                  if (!entries) return failed(one, entries.error());
                  one->entries = std::move(*entries);
                  witness(one);
              }));
}

void Settlement::witness(const std::shared_ptr<Case>& one) {
    tools_.witness(one->facts, one->entries, lifeline_.guard([this, one](const Witnessed& seen) {
        if (seen.is_dead) return begin(one);
        tools_.left(one->facts, seen.why);
        finish(one, true);
    }));
}

void Settlement::settle(const std::vector<std::string>& ids) {
    for (const std::string& id : ids) {
        const bool is_under_way =
            std::ranges::any_of(under_way_, [&](const auto& one) { return one->facts.id == id; });
        if (is_under_way || id == me_.id) continue;
        auto one = std::make_shared<Case>();
        one->facts.id = id;
        one->proof = Proof::lease_over;
        one->done = [](bool) {};
        under_way_.push_back(one);
        begin(one);
    }
}

void Settlement::begin(const std::shared_ptr<Case>& one) {
    const Duration lease = one->proof == Proof::lease_over ? me_.lease : Duration{0};
    client_.eval(
        settle_begin,
        {prefix_ + ":settling:" + one->facts.id, prefix_ + ":instances", prefix_ + ":since"},
        {one->facts.id, me_.id, ms_text(lock_lasts), ms_text(lease)},
        lifeline_.guard([this, one](const Result<redis::Reply>& reply) {
            if (!reply) return failed(one, reply.error());
            if (!reply->is_text()) return failed(one, unexpected("settling an instance", *reply));
            if (reply->text != "begun") return finish(one, true);
            read(one);
        }));
}

void Settlement::read(const std::shared_ptr<Case>& one) {
    read_instance(client_, prefix_, one->facts.id,
                  lifeline_.guard([this, one](Result<InstanceFacts> facts) {
                      if (!facts) return failed(one, facts.error());
                      one->facts = std::move(*facts);
                  }));
    read_roll(client_, prefix_, one->facts.id,
              lifeline_.guard([this, one](Result<std::vector<RollEntry>> entries) {
                  if (one->error) return;
                  if (!entries) return failed(one, entries.error());
                  one->entries = std::move(*entries);
                  for (std::size_t i = 0; i < one->entries.size(); ++i) one->open.push_back(i);
                  ask_vetoes(one);
              }));
}

void Settlement::ask_vetoes(const std::shared_ptr<Case>& one) {
    if (!tools_.vetoes || one->open.empty()) return release_next(one);
    std::vector<std::string> names;
    for (const std::size_t i : one->open) names.push_back(one->entries[i].name);
    tools_.vetoes(std::move(names),
                  lifeline_.guard([this, one](const Result<std::vector<bool>>& vetoed) {
                      if (!vetoed) return failed(one, vetoed.error());
                      std::vector<std::size_t> open;
                      for (std::size_t k = 0; k < one->open.size(); ++k) {
                          const bool is_vetoed = k < vetoed->size() && (*vetoed)[k];
                          (is_vetoed ? one->again : open).push_back(one->open[k]);
                          if (is_vetoed) one->kept_by = "a connection bears its name";
                      }
                      one->open = std::move(open);
                      release_next(one);
                  }));
}

Release Settlement::release_of(const Case& one, const RollEntry& entry) const {
    Release release{.process = ProcessId{0},
                    .incarnation = entry.incarnation,
                    .name = entry.given,
                    .pid = Pid{entry.pid},
                    .hostname = entry.host,
                    .spawned_at = entry.spawned_at,
                    .registration = std::nullopt,
                    .jobs = entry.jobs};
    release.kind = kind_named(entry.kind).value_or(RegistryKind::none);
    if (!entry.birth.empty()) {
        release.registration = Registration{.name = entry.name,
                                            .pid = entry.registered_pid,
                                            .hostname = entry.host,
                                            .birth = entry.birth,
                                            .queues = entry.queues,
                                            .version = entry.version};
    }
    release.proof = one.proof;
    release.estate = Estate{one.facts.id, entry.given, entry.value};
    release.poison = entry.poison;
    release.custom = entry.custom;
    release.death = fmt::format("{}/{}/{}", one.facts.id, entry.process, entry.incarnation.value());
    release.reason = one.proof == Proof::same_place
                         ? "it was killed with its supervisor"
                         : "its supervisor has not been heard of since, nor has it";
    return release;
}

void Settlement::release_next(const std::shared_ptr<Case>& one) {
    while (!one->open.empty() && one->in_flight < most_in_flight && !one->error) {
        const std::size_t index = one->open.back();
        one->open.pop_back();
        const Release release = release_of(*one, one->entries[index]);
        if (is_left_to_its_system(release)) {
            if (release.kind == RegistryKind::custom) ++one->home_made;
            one->settled.push_back(index);
            continue;
        }
        ++one->in_flight;
        tools_.release(release, lifeline_.guard([this, one, index](Result<Released> result) {
            --one->in_flight;
            answered(one, index, std::move(result));
        }));
    }
    if (one->in_flight == 0) pass_over(one);
}

void Settlement::answered(const std::shared_ptr<Case>& one,
                          std::size_t index,
                          Result<Released> result) {
    if (!result) {
        one->error = result.error();
    } else {
        if (is_settled(result->verdict)) {
            one->settled.push_back(index);
            tools_.settled(one->facts, release_of(*one, one->entries[index]), *result);
        } else if (result->verdict == Released::Verdict::alive) {
            one->again.push_back(index);
            one->kept_by = one->entries[index].name + ": " + result->detail;
        }
    }
    release_next(one);
}

// What lives at the first try may be gone a moment later, where everything has just been killed.
void Settlement::pass_over(const std::shared_ptr<Case>& one) {
    if (one->error) return failed(one, Error{*one->error});
    const bool tries_again =
        one->proof == Proof::same_place && !one->again.empty() && ++one->tries < most_tries;
    if (!tries_again) return end(one);
    one->open = std::exchange(one->again, {});
    one->timer = std::make_unique<loop::Timer>(loop_, [this, weak = std::weak_ptr<Case>(one)] {
        if (const auto still = weak.lock()) ask_vetoes(still);
    });
    one->timer->arm(loop_.now() + between_tries);
}

void Settlement::end(const std::shared_ptr<Case>& one) {
    if (!one->again.empty())
        tools_.left(one->facts, fmt::format("{} of its workers {} not be shown to be dead: {}",
                                            one->again.size(), "could", one->kept_by));
    if (one->home_made > 0)
        tools_.left(one->facts,
                    fmt::format("what {} of its workers registered by registry = \"custom\" stays: "
                                "nothing tells whether a home-made worker lives",
                                one->home_made));
    std::vector<std::string> keys{prefix_ + ":roll:" + one->facts.id, prefix_ + ":instances",
                                  prefix_ + ":instance:" + one->facts.id,
                                  prefix_ + ":settling:" + one->facts.id};
    for (std::string& place : place_keys(prefix_, one->facts.place))
        keys.push_back(std::move(place));
    std::vector<std::string> args{one->facts.id, me_.id};
    for (const std::size_t index : one->settled) {
        args.push_back(one->entries[index].given);
        args.push_back(one->entries[index].value);
    }
    client_.eval(settle_end, std::move(keys), std::move(args),
                 lifeline_.guard([this, one](const Result<redis::Reply>& reply) {
                     if (!reply) return failed(one, reply.error());
                     finish(one, true);
                 }));
}

void Settlement::failed(const std::shared_ptr<Case>& one, const Error& error) {
    one->error = error;
    tools_.trouble(error);
    finish(one, false);
}

void Settlement::finish(const std::shared_ptr<Case>& one, bool is_whole) {
    const CaseDone done = std::move(one->done);
    std::erase(under_way_, one);
    if (done) done(is_whole);
}

}  // namespace muster::registry
