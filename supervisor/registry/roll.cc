#include "registry/roll.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "registry/answers.h"
#include "registry/scripts.h"

namespace muster::registry {
namespace {

using Json = nlohmann::json;

constexpr std::size_t entries_a_script = 500;  // keeps each below a few milliseconds
constexpr std::size_t instances_a_page = 100;
constexpr std::size_t most_in_a_place = 1000;
constexpr std::size_t most_instances = 100'000;
constexpr std::size_t most_entries = 20'000;
constexpr std::size_t longest_entry = 64 << 10;

template <class Number>
Number number_of(std::string_view text) {
    Number number{};
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

std::string key_of(const std::string& prefix, std::string_view what, std::string_view whose) {
    return fmt::format("{}:{}:{}", prefix, what, whose);
}

std::vector<std::string> facts_of(const InstanceFacts& me) {
    Json programs = Json::array();
    for (const ProgramFacts& program : me.programs)
        programs.push_back({program.name, program.kind, program.processes});
    return {"service",       me.service,
            "host",          me.host,
            "version",       me.version,
            "started_at",    std::to_string(in_ms(me.started_at)),
            "lease_ms",      std::to_string(in_ms(me.lease)),
            "pid_namespace", me.place.pid_namespace,
            "container",     me.place.container,
            "is_first",      me.place.is_first ? "1" : "0",
            "pid",           std::to_string(me.place.pid),
            "start_ticks",   std::to_string(me.place.start_ticks),
            "uid",           std::to_string(me.place.uid),
            "programs",      programs.dump(-1, ' ', false, Json::error_handler_t::replace)};
}

std::vector<ProgramFacts> programs_of(std::string_view text) {
    std::vector<ProgramFacts> programs;
    const Json all = Json::parse(text, nullptr, false);
    if (!all.is_array()) return programs;
    for (const Json& one : all) {
        if (!one.is_array() || one.size() != 3 || !one[0].is_string() || !one[1].is_string() ||
            !one[2].is_number_unsigned())
            continue;
        programs.push_back(
            {one[0].get<std::string>(), one[1].get<std::string>(), one[2].get<std::uint32_t>()});
    }
    return programs;
}

void take_fact(InstanceFacts& facts, std::string_view name, const std::string& value) {
    if (name == "service") facts.service = value;
    if (name == "host") facts.host = value;
    if (name == "version") facts.version = value;
    if (name == "started_at")
        facts.started_at = WallTime{std::chrono::milliseconds{number_of<std::int64_t>(value)}};
    if (name == "lease_ms") facts.lease = std::chrono::milliseconds{number_of<std::int64_t>(value)};
    if (name == "pid_namespace") facts.place.pid_namespace = value;
    if (name == "container") facts.place.container = value;
    if (name == "is_first") facts.place.is_first = value == "1";
    if (name == "pid") facts.place.pid = number_of<pid_t>(value);
    if (name == "start_ticks") facts.place.start_ticks = number_of<std::uint64_t>(value);
    if (name == "uid") facts.place.uid = number_of<uid_t>(value);
    if (name == "programs") facts.programs = programs_of(value);
}

std::optional<InstanceFacts> instance_of(const redis::Reply& row) {
    const auto& words = row.elements;
    if (words.size() < 3 || words.size() % 2 == 0) return std::nullopt;
    if (!std::ranges::all_of(words, &redis::Reply::is_text)) return std::nullopt;
    InstanceFacts facts;
    facts.id = words[0].text;
    facts.lease_left = std::chrono::milliseconds{number_of<std::int64_t>(words[1].text)};
    facts.workers = number_of<std::uint64_t>(words[2].text);
    for (std::size_t i = 3; i + 1 < words.size(); i += 2)
        take_fact(facts, words[i].text, words[i + 1].text);
    return facts;
}

Result<std::vector<InstanceFacts>> instances_of(const Result<redis::Reply>& reply) {
    if (!reply) return reply.error();
    if (!reply->is_array()) return unexpected("reading the roll", *reply);
    std::vector<InstanceFacts> found;
    for (const redis::Reply& row : reply->elements) {
        if (auto facts = instance_of(row)) found.push_back(std::move(*facts));
    }
    return found;
}

// Reads that go on page by page keep themselves alive by their callbacks, and end with the client.
struct InstancesReading {
    redis::Client& client;
    std::string prefix;
    InstancesRead done;
    std::vector<InstanceFacts> found;
    std::size_t first = 0;
};

void read_page(const std::shared_ptr<InstancesReading>& reading) {
    reading->client.eval(
        roll_instances, {reading->prefix + ":instances"},
        {reading->prefix, std::to_string(reading->first), std::to_string(instances_a_page)},
        [reading](const Result<redis::Reply>& reply) {
            auto page = instances_of(reply);
            if (!page) return reading->done(page.error());
            const bool is_last = reply->elements.size() < instances_a_page;
            std::move(page->begin(), page->end(), std::back_inserter(reading->found));
            reading->first += instances_a_page;
            if (is_last || reading->found.size() >= most_instances)
                return reading->done(std::move(reading->found));
            read_page(reading);
        });
}

struct RollReading {
    redis::Client& client;
    std::string key;
    RollRead done;
    std::map<std::string, RollEntry> found;  // a scan may show an entry twice
};

void scan_page(const std::shared_ptr<RollReading>& reading, const std::string& cursor) {
    reading->client.command(
        {"HSCAN", reading->key, cursor, "COUNT", std::to_string(entries_a_script)},
        [reading](const Result<redis::Reply>& reply) {
            if (!reply) return reading->done(reply.error());
            const auto& parts = reply->elements;
            if (!reply->is_array() || parts.size() != 2 || !parts[1].is_array())
                return reading->done(unexpected("reading the roll", *reply));
            const auto& words = parts[1].elements;
            for (std::size_t i = 0; i + 1 < words.size(); i += 2) {
                if (auto entry = decode_entry(words[i].text, words[i + 1].text))
                    reading->found.insert_or_assign(words[i].text, std::move(*entry));
            }
            if (parts[0].text != "0" && reading->found.size() < most_entries)
                return scan_page(reading, parts[0].text);
            std::vector<RollEntry> entries;
            entries.reserve(reading->found.size());
            for (auto& [given, entry] : reading->found) entries.push_back(std::move(entry));
            reading->done(std::move(entries));
        });
}

// What is not as encode() wrote it is nothing: half of it would match too much.
std::optional<CustomEntry> custom_of(const Json& json) {
    const auto word = [&](const char* key) -> const std::string* {
        const auto found = json.find(key);
        return found == json.end() ? nullptr : found->get_ptr<const std::string*>();
    };
    const auto* set = word("set");
    const auto* member = word("member");
    const auto* key = word("key");
    const auto fields = json.find("fields");
    if (set == nullptr || member == nullptr || key == nullptr || fields == json.end() ||
        !fields->is_array())
        return std::nullopt;
    CustomEntry custom{.set = *set, .member = *member, .key = *key, .fields = {}};
    for (const Json& field : *fields) {
        const bool is_pair =
            field.is_array() && field.size() == 2 && field[0].is_string() && field[1].is_string();
        if (!is_pair) return std::nullopt;
        custom.fields.emplace_back(field[0].get<std::string>(), field[1].get<std::string>());
    }
    return custom;
}

std::vector<std::string> words_at(const Json& json, const char* key) {
    std::vector<std::string> words;
    const auto found = json.find(key);
    if (found == json.end() || !found->is_array()) return words;
    for (const Json& each : *found) {
        if (each.is_string()) words.push_back(each.get<std::string>());
    }
    return words;
}

Poison poison_of(const Json& json) {
    const auto found = json.find("poison");
    if (found == json.end() || !found->is_array() || found->size() != 2) return {};
    const Json& deaths = (*found)[0];
    const Json& within = (*found)[1];
    if (!deaths.is_number_unsigned() || !within.is_number_unsigned()) return {};
    return {.deaths = deaths.get<std::uint32_t>(),
            .within = std::chrono::milliseconds{within.get<std::int64_t>()}};
}

}  // namespace

// "" is left out, and so is a name that is the given one: 10,000 of these are kept and sent.
std::string encode(const RollEntry& entry) {
    Json json{{"kind", entry.kind},       {"process", entry.process},
              {"program", entry.program}, {"incarnation", entry.incarnation.value()},
              {"pid", entry.pid},         {"start_ticks", entry.start_ticks},
              {"host", entry.host},       {"spawned_at", in_ms(entry.spawned_at)}};
    if (entry.name != entry.given) json["name"] = entry.name;
    if (!entry.registered_pid.empty()) json["registered_pid"] = entry.registered_pid;
    if (!entry.birth.empty()) json["birth"] = entry.birth;
    if (!entry.queues.empty()) json["queues"] = entry.queues;
    if (!entry.version.empty()) json["version"] = entry.version;
    if (entry.jobs == core::Jobs::fail) json["jobs"] = "fail";
    if (entry.jobs == core::Jobs::leave) json["jobs"] = "leave";
    if (entry.custom)
        json["custom"] = {{"set", entry.custom->set},
                          {"member", entry.custom->member},
                          {"key", entry.custom->key},
                          {"fields", entry.custom->fields}};
    if (entry.poison != Poison{})
        json["poison"] = {entry.poison.deaths, in_ms(entry.poison.within)};
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::optional<RollEntry> decode_entry(std::string_view given, std::string_view text) {
    if (text.size() > longest_entry) return std::nullopt;
    const Json json = Json::parse(text, nullptr, false);
    if (!json.is_object()) return std::nullopt;
    const auto word = [&](const char* key) {
        const auto found = json.find(key);
        return found != json.end() && found->is_string() ? found->get<std::string>()
                                                         : std::string{};
    };
    const auto number = [&](const char* key) -> std::int64_t {
        const auto found = json.find(key);
        return found != json.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
    };
    RollEntry entry;
    entry.given = given;
    entry.name = word("name");
    if (entry.name.empty()) entry.name = given;
    entry.kind = word("kind");
    entry.process = word("process");
    entry.program = word("program");
    entry.incarnation = Incarnation{static_cast<std::uint32_t>(number("incarnation"))};
    entry.pid = static_cast<pid_t>(number("pid"));
    entry.start_ticks = static_cast<std::uint64_t>(number("start_ticks"));
    entry.host = word("host");
    entry.spawned_at = WallTime{std::chrono::milliseconds{number("spawned_at")}};
    entry.registered_pid = word("registered_pid");
    entry.birth = word("birth");
    entry.version = word("version");
    entry.queues = words_at(json, "queues");
    const std::string jobs = word("jobs");
    if (jobs == "fail") entry.jobs = core::Jobs::fail;
    if (jobs == "leave") entry.jobs = core::Jobs::leave;
    entry.poison = poison_of(json);
    if (const auto custom = json.find("custom"); custom != json.end() && custom->is_object())
        entry.custom = custom_of(*custom);
    if (entry.kind.empty() || entry.pid <= 0) return std::nullopt;
    entry.value = text;
    return entry;
}

void read_instances(redis::Client& client, const std::string& prefix, InstancesRead done) {
    read_page(std::make_shared<InstancesReading>(
        InstancesReading{client, prefix, std::move(done), {}, 0}));
}

void read_instance(redis::Client& client,
                   const std::string& prefix,
                   const std::string& id,
                   InstanceRead done) {
    client.command({"HGETALL", key_of(prefix, "instance", id)},
                   [id, done = std::move(done)](const Result<redis::Reply>& reply) {
                       if (!reply) return done(reply.error());
                       if (!reply->is_array()) return done(unexpected("reading the roll", *reply));
                       InstanceFacts facts;
                       facts.id = id;
                       for (std::size_t i = 0; i + 1 < reply->elements.size(); i += 2)
                           take_fact(facts, reply->elements[i].text, reply->elements[i + 1].text);
                       done(std::move(facts));
                   });
}

void read_instances_of(redis::Client& client,
                       const std::string& prefix,
                       const Place& place,
                       InstancesRead done) {
    std::vector<std::string> keys = place_keys(prefix, place);
    if (keys.empty()) {
        // Never inside the call: the answer to a PING is as good a moment as any.
        client.command({"PING"}, [done = std::move(done)](const Result<redis::Reply>& reply) {
            if (!reply) return done(reply.error());
            done(std::vector<InstanceFacts>{});
        });
        return;
    }
    keys.insert(keys.begin(), prefix + ":instances");
    client.eval(
        roll_instances, std::move(keys), {prefix, "0", std::to_string(most_in_a_place)},
        [done = std::move(done)](const Result<redis::Reply>& reply) { done(instances_of(reply)); });
}

void read_roll(redis::Client& client,
               const std::string& prefix,
               const std::string& id,
               RollRead done) {
    scan_page(std::make_shared<RollReading>(
                  RollReading{client, key_of(prefix, "roll", id), std::move(done), {}}),
              "0");
}

std::vector<std::string> place_keys(const std::string& prefix, const Place& place) {
    std::vector<std::string> keys;
    if (!place.pid_namespace.empty()) keys.push_back(key_of(prefix, "place", place.pid_namespace));
    if (!place.container.empty()) keys.push_back(key_of(prefix, "place", place.container));
    return keys;
}

Roll::Roll(loop::Loop& loop,
           redis::Client& client,
           std::string prefix,
           InstanceFacts me,
           RollEvents events)
    : loop_(loop),
      client_(client),
      prefix_(std::move(prefix)),
      me_(std::move(me)),
      events_(std::move(events)),
      renewal_(loop, [this] { send(); }),
      turn_(loop, [this] { send(); }) {}

std::vector<std::string> Roll::keys() const {
    std::vector<std::string> keys{prefix_ + ":instances", key_of(prefix_, "instance", me_.id),
                                  key_of(prefix_, "roll", me_.id), prefix_ + ":since"};
    for (std::string& place : place_keys(prefix_, me_.place)) keys.push_back(std::move(place));
    return keys;
}

void Roll::put(const RollEntry& entry) {
    entries_.insert_or_assign(entry.given, encode(entry));
    changed_.insert(entry.given);
    gone_.erase(entry.given);
    turn_.arm();
}

void Roll::registered(const std::string& given, const Registration& as) {
    const auto known = entries_.find(given);
    if (known == entries_.end()) return;
    auto entry = decode_entry(given, known->second);
    if (!entry) return;
    entry->name = as.name;
    entry->registered_pid = as.pid;
    entry->birth = as.birth;
    entry->queues = as.queues;
    entry->version = as.version;
    put(*entry);
}

void Roll::remove(const std::string& given) {
    if (entries_.erase(given) == 0) return;
    changed_.erase(given);
    gone_.insert(given);
    turn_.arm();
}

void Roll::connected() {
    connected_at_ = loop_.now();
    data_age_ = Duration{0};
    is_known_ = false;
    is_sending_ = false;
    ++connection_;
    send();
}

void Roll::disconnected() {
    connected_at_.reset();
    renewal_.disarm();
}

// A lease is over only for those who have had the time to see it renewed.
bool Roll::may_judge() const {
    return connected_at_ && loop_.now() - *connected_at_ >= me_.lease && data_age_ >= me_.lease;
}

// Everything that has changed since the last, and the renewal with it; a page at a time.
void Roll::send() {
    if (!connected_at_ || is_sending_ || has_left_) return;
    is_sending_ = true;
    const bool is_whole = !is_known_;
    std::vector<std::string> args{me_.id, std::to_string(in_ms(me_.lease)), prefix_,
                                  is_whole ? "whole" : "changes"};
    if (is_whole) {
        const std::vector<std::string> facts = facts_of(me_);
        args.push_back(std::to_string(facts.size() / 2));
        args.insert(args.end(), facts.begin(), facts.end());
        gone_.clear();
        for (const auto& [given, value] : entries_) changed_.insert(given);
    } else {
        args.emplace_back("0");
    }
    args.push_back(std::to_string(gone_.size()));
    args.insert(args.end(), gone_.begin(), gone_.end());
    gone_.clear();
    for (std::size_t i = 0; i < entries_a_script && !changed_.empty(); ++i) {
        const auto given = changed_.extract(changed_.begin()).value();
        args.push_back(given);
        args.push_back(entries_.at(given));
    }
    client_.eval(roll_renew, keys(), std::move(args),
                 lifeline_.guard([this, at = connection_](const Result<redis::Reply>& reply) {
                     if (at == connection_) sent(reply);
                 }));
}

void Roll::sent(const Result<redis::Reply>& reply) {
    is_sending_ = false;
    if (!connected_at_) return;
    renewal_.arm(loop_.now() + me_.lease / 3);
    const bool is_well_formed = reply && reply->is_array() && !reply->elements.empty() &&
                                std::ranges::all_of(reply->elements, &redis::Reply::is_text);
    if (!is_well_formed) {
        // What it carried may be there or not: the next one carries the whole.
        is_known_ = false;
        if (events_.trouble)
            events_.trouble((reply ? unexpected("renewing the lease", *reply) : reply.error()));
        return;
    }
    if (reply->elements[0].text == "unknown") {
        is_known_ = false;
        if (events_.was_forgotten) events_.was_forgotten();
        return send();
    }
    is_known_ = true;
    data_age_ =
        reply->elements.size() > 1
            ? Duration{std::chrono::milliseconds{number_of<std::int64_t>(reply->elements[1].text)}}
            : Duration{0};
    if (!changed_.empty() || !gone_.empty()) return send();
    std::vector<std::string> over;
    for (std::size_t i = 2; i < reply->elements.size(); ++i) {
        if (reply->elements[i].text != me_.id) over.push_back(reply->elements[i].text);
    }
    if (events_.renewed) events_.renewed(over);
}

void Roll::leave(std::function<void()> done) {
    has_left_ = true;
    renewal_.disarm();
    if (!connected_at_) return done();
    std::vector<std::string> all = keys();
    all.erase(all.begin() + 3);  // P:since
    std::vector<std::string> args{me_.id};
    args.insert(args.end(), gone_.begin(), gone_.end());
    client_.eval(
        roll_leave, std::move(all), std::move(args),
        lifeline_.guard([done = std::move(done)](const Result<redis::Reply>&) { done(); }));
}

}  // namespace muster::registry
