#include "registry/worker_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "base/text.h"
#include "registry/answers.h"
#include "registry/scripts.h"

namespace muster::registry {
namespace {

using namespace std::chrono_literals;

// A worker that was heard less long ago lives as far as its own word goes. A busy one of RQ is
// heard each 30 s; an idle one, each 405 s, listens on its channel.
constexpr Duration fresh_heartbeat = 90s;
constexpr std::size_t scans_a_page = 20;  // where hardly anything is stale

enum RqField : std::size_t { pid, hostname, queues, state, last_heartbeat, death };
constexpr std::array rq_fields{"pid", "hostname", "queues", "state", "last_heartbeat", "death"};

template <class Number>
std::optional<Number> number_in(std::string_view text) {
    Number number{};
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (code != std::errc{} || text.empty()) return std::nullopt;
    return number;
}

// "2026-05-16T01:24:48.287000Z"; whole seconds are enough.
std::optional<std::chrono::sys_seconds> time_in(std::string_view text) {
    if (text.size() < 19) return std::nullopt;
    const auto part = [&](std::size_t at, std::size_t size) {
        return number_in<int>(text.substr(at, size)).value_or(-1);
    };
    const std::chrono::year_month_day day{std::chrono::year{part(0, 4)},
                                          std::chrono::month{static_cast<unsigned>(part(5, 2))},
                                          std::chrono::day{static_cast<unsigned>(part(8, 2))}};
    if (!day.ok() || part(11, 2) < 0 || part(14, 2) < 0 || part(17, 2) < 0) return std::nullopt;
    return std::chrono::sys_days{day} + std::chrono::hours{part(11, 2)} +
           std::chrono::minutes{part(14, 2)} + std::chrono::seconds{part(17, 2)};
}

std::string in_seconds(Duration time) {
    return fmt::format("{} s", std::chrono::ceil<std::chrono::seconds>(time).count());
}

Judgement without_key(const Evidence& seen) {
    if (const std::string sign = sign_of(seen.veto); !sign.empty())
        return {Life::unknown, "its key is missing, but " + sign};
    const Duration left = seen.apart - std::min(seen.missing_for, seen.apart);
    if (!seen.was_looked_at)
        return {Life::stale, "its key is missing, nothing speaks for its life; not looked at yet"};
    if (left > Duration{})
        return {Life::stale,
                fmt::format("its key is missing since {} at least; a sweep removes it in {}",
                            in_seconds(seen.missing_for), in_seconds(left))};
    return {Life::stale, fmt::format("its key is missing since {} at least; the next sweep "
                                     "removes it",
                                     in_seconds(seen.missing_for))};
}

std::string why_unknown(const Evidence& seen) {
    const std::string owner = seen.owner != nullptr
                                  ? fmt::format("the lease of its supervisor {} is over since {}; ",
                                                seen.owner->id, in_seconds(-seen.owner->lease_left))
                                  : std::string{};
    if (seen.veto == Veto::unseen) return owner + sign_of(seen.veto);
    if (seen.key_left_ms == -1)
        return owner +
               "its key would stay for ever: a late heartbeat or work horse wrote it; keys are "
               "never swept";
    return owner + fmt::format(
                       "nothing of it is heard, but its key stays for {} yet; keys are "
                       "never swept",
                       in_seconds(std::chrono::milliseconds{seen.key_left_ms}));
}

}  // namespace

std::string_view life_word(Life life) {
    switch (life) {
        case Life::alive:
            return "alive";
        case Life::stale:
            return "stale";
        case Life::unknown:
            return "unknown";
    }
    return "?";
}

Judgement judged(const Evidence& seen) {
    if (seen.is_ours) return {Life::alive, "it is our own"};
    const bool has_key = seen.key_left_ms != -2;
    if (seen.owner != nullptr && seen.owner->is_live())
        return {Life::alive, fmt::format("its supervisor {} holds a lease{}", seen.owner->id,
                                         has_key ? "" : "; its key is missing")};
    if (!has_key) return without_key(seen);
    if (seen.has_died_in_order)
        return {Life::stale, fmt::format("it ended in order; its key expires in {}",
                                         in_seconds(std::chrono::milliseconds{
                                             std::max<std::int64_t>(0, seen.key_left_ms)}))};
    if (seen.veto == Veto::subscribed || seen.veto == Veto::connected)
        return {Life::alive, sign_of(seen.veto)};
    if (!seen.has_signs) return {Life::alive, "its key is kept up"};
    if (seen.heartbeat_age >= Duration{} && seen.heartbeat_age < fresh_heartbeat)
        return {Life::alive,
                fmt::format("its last heartbeat was {} ago", in_seconds(seen.heartbeat_age))};
    return {Life::unknown, why_unknown(seen)};
}

WorkerList::WorkerList(loop::Loop& loop,
                       redis::Client& client,
                       std::vector<MemberSets> systems,
                       Options options)
    : loop_(loop),
      client_(client),
      systems_(std::move(systems)),
      options_(std::move(options)),
      owners_(client, options_.prefix),
      forget_(loop, [this] {
          if (asked_.empty()) owners_.forget();
      }) {
    for (const MemberSets& sets : systems_)
        vetoes_.push_back(std::make_unique<Vetoes>(client, sets.signs));
}

void WorkerList::page(PageWanted wanted, Done done) {
    Asked asked;
    bool is_understood = true;
    if (!wanted.after.empty()) {
        const auto colon = wanted.after.find(':');
        const auto system = number_in<std::size_t>(std::string_view{wanted.after}.substr(0, colon));
        is_understood = system && *system < systems_.size() && colon != std::string::npos;
        if (is_understood) {
            asked.system = *system;
            asked.cursor = wanted.after.substr(colon + 1);
            is_understood = !asked.cursor.empty() && asked.cursor.size() <= 20 &&
                            asked.cursor.find_first_not_of("0123456789") == std::string::npos;
        }
    }
    if (!is_understood || asked_.size() >= most_waiting || systems_.empty()) {
        const std::string why = !is_understood ? "'after' is not the 'next' of a page before"
                                : systems_.empty()
                                    ? "no program's job system has a registry of workers"
                                    : "too many lists are asked for at one time";
        client_.command({"PING"},
                        lifeline_.guard([done = std::move(done), why](const Result<redis::Reply>&) {
                            done(Error{why});
                        }));
        return;
    }
    wanted.limit = std::clamp<std::size_t>(wanted.limit, 1, most_a_page);
    asked.wanted = std::move(wanted);
    asked.done = std::move(done);
    asked_.push_back(std::move(asked));
    if (asked_.size() == 1) next();
}

// A list begins with a fresh look at the rolls and connections; its later pages go by the same.
void WorkerList::next() {
    if (asked_.empty()) return;
    const bool is_first = asked_.front().wanted.after.empty();
    if (is_first) {
        for (const auto& vetoes : vetoes_) vetoes->start_anew();
    }
    if (options_.ours) ours_ = options_.ours();
    if (!is_first && owners_.has_read()) return read();
    owners_.read(lifeline_.guard([this](const Outcome& outcome) {
        if (!outcome) return finish(outcome.error());
        forget_.arm(loop_.now() + keeps_owners);
        read();
    }));
}

std::vector<std::string> WorkerList::fields() const {
    if (systems_[asked_.front().system].kind == RegistryKind::rq)
        return {rq_fields.begin(), rq_fields.end()};
    return {"busy"};
}

void WorkerList::read() {
    const Asked& asked = asked_.front();
    const MemberSets& sets = systems_[asked.system];
    std::vector<std::string> args{asked.cursor,
                                  std::to_string(std::min<std::size_t>(asked.wanted.limit, 500)),
                                  sets.key_prefix, sets.begins};
    for (std::string& field : fields()) args.push_back(std::move(field));
    client_.eval(workers_page, {sets.all, fmt::format("{}:looks:{}", options_.prefix, sets.word)},
                 std::move(args), lifeline_.guard([this](Result<redis::Reply> reply) {
                     if (!reply) return finish(reply.error());
                     take(*reply);
                 }));
}

void WorkerList::take(const redis::Reply& reply) {
    if (!reply.is_array() || reply.elements.size() < 2)
        return finish(unexpected("listing the workers", reply));
    const Asked& asked = asked_.front();
    std::vector<std::string> names;
    for (std::size_t i = 2; i < reply.elements.size(); ++i) {
        if (reply.elements[i].elements.size() < 3)
            return finish(unexpected("listing the workers", reply));
        names.push_back(
            reply.elements[i].elements[0].text.substr(systems_[asked.system].begins.size()));
    }
    vetoes_[asked.system]->ask(std::move(names),
                               lifeline_.guard([this, reply](Result<std::vector<Veto>> vetoes) {
                                   if (!vetoes) return finish(vetoes.error());
                                   with_vetoes(reply, *vetoes);
                               }));
}

void WorkerList::with_vetoes(const redis::Reply& reply, const std::vector<Veto>& vetoes) {
    Asked& asked = asked_.front();
    const MemberSets& sets = systems_[asked.system];
    const auto now = std::chrono::sys_time<std::chrono::milliseconds>{
        std::chrono::milliseconds{number_in<std::int64_t>(reply.elements[0].text).value_or(0)}};
    for (std::size_t i = 2; i < reply.elements.size(); ++i) {
        const auto& row = reply.elements[i].elements;
        ListedWorker worker;
        worker.kind = sets.word;
        worker.name = row[0].text.substr(sets.begins.size());
        Evidence seen;
        seen.apart = options_.apart;
        seen.key_left_ms = row[1].integer;
        seen.was_looked_at = !row[2].text.empty();
        seen.missing_for = ms_of(row[2].text);
        seen.has_signs = !sets.signs.channel_prefix.empty();
        seen.veto = vetoes[i - 2];
        seen.heartbeat_age = -1s;
        if (sets.kind == RegistryKind::rq && row.size() == 3 + rq_fields.size()) {
            const auto field = [&](RqField which) -> const std::string& {
                return row[3 + which].text;
            };
            worker.pid = field(pid);
            worker.host = field(hostname);
            worker.queues = field(queues);
            worker.activity = field(state);
            seen.has_died_in_order = !field(death).empty();
            if (const auto beat = time_in(field(last_heartbeat))) seen.heartbeat_age = now - *beat;
        }
        if (const auto* owner = owners_.owner_of(worker.name)) {
            seen.owner = &owners_.instance(*owner);
            worker.instance = seen.owner->id;
            worker.process = owner->process;
        }
        if (const auto own = ours_.find(worker.name); own != ours_.end()) {
            seen.is_ours = true;
            worker.instance = options_.instance;
            worker.process = own->second;
        }
        auto [life, why] = judged(seen);
        worker.life = life;
        worker.why = std::move(why);
        if (asked.wanted.only_stale && life != Life::stale) continue;
        asked.page.workers.push_back(std::move(worker));
    }
    asked.cursor = reply.elements[1].text;
    ++asked.scans;
    if (asked.cursor == "0" && ++asked.system == systems_.size())
        return finish(std::move(asked.page));
    if (asked.page.workers.size() < asked.wanted.limit && asked.scans < scans_a_page) return read();
    asked.page.next = fmt::format("{}:{}", asked.system, asked.cursor);
    finish(std::move(asked.page));
}

void WorkerList::finish(Result<WorkersPage> page) {
    const Done done = std::move(asked_.front().done);
    asked_.pop_front();
    if (asked_.empty()) forget_.arm(loop_.now() + keeps_owners);
    next();
    done(std::move(page));
}

}  // namespace muster::registry
