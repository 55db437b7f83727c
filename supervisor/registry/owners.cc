#include "registry/owners.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "registry/answers.h"
#include "registry/scripts.h"

namespace muster::registry {
namespace {

constexpr const char* entries_a_call = "200";

}  // namespace

Owners::Owners(redis::Client& client, std::string prefix)
    : client_(client), prefix_(std::move(prefix)) {}

void Owners::forget() {
    has_read_ = false;
    instances_ = {};
    owners_ = {};
}

void Owners::read(std::function<void(Outcome)> done) {
    forget();
    done_ = std::move(done);
    client_.eval(roll_leases, {prefix_ + ":instances"}, {},
                 lifeline_.guard([this](Result<redis::Reply> reply) {
                     if (!reply) return finish(reply.error());
                     if (!reply->is_array())
                         return finish(unexpected("reading the leases of all instances", *reply));
                     take_leases(*reply);
                     read_rolls(0, "0");
                 }));
}

void Owners::take_leases(const redis::Reply& reply) {
    const auto& words = reply.elements;
    instances_.reserve(words.size() / 2);
    for (std::size_t i = 0; i + 1 < words.size(); i += 2) {
        instances_.push_back({words[i].text, ms_of(words[i + 1].text)});
    }
}

void Owners::read_rolls(std::size_t first, const std::string& cursor) {
    if (first >= instances_.size()) return finish(Done{});
    std::vector<std::string> keys;
    const std::size_t end = std::min(first + rolls_a_call, instances_.size());
    for (std::size_t i = first; i < end; ++i) keys.push_back(prefix_ + ":roll:" + instances_[i].id);
    client_.eval(roll_names, std::move(keys), {cursor, entries_a_call},
                 lifeline_.guard([this, first](Result<redis::Reply> reply) {
                     if (!reply) return finish(reply.error());
                     if (auto taken = take_names(first, *reply); !taken)
                         return finish(std::move(taken));
                     read_rolls(first + static_cast<std::size_t>(reply->elements[0].integer),
                                reply->elements[1].text);
                 }));
}

Outcome Owners::take_names(std::size_t first, const redis::Reply& reply) {
    const auto& words = reply.elements;
    if (!reply.is_array() || words.size() % 4 != 2 || words[0].integer < 0 || !words[1].is_text())
        return unexpected("reading the rolls of all instances", reply);
    for (std::size_t i = 2; i < words.size(); i += 4) {
        const auto number = first + static_cast<std::size_t>(words[i].integer) - 1;
        if (number >= instances_.size())
            return unexpected("reading the rolls of all instances", reply);
        const auto keep = [&](const std::string& name) {
            auto& owner = owners_.try_emplace(name, Owner{}).first->second;
            // A live holder counts before one whose lease is over.
            if (owner.process.empty() || instances_[number].is_live())
                owner = {static_cast<std::uint32_t>(number), words[i + 3].text};
        };
        keep(words[i + 1].text);
        if (words[i + 2].text != words[i + 1].text) keep(words[i + 2].text);
    }
    if (owners_.size() > most_names)
        return Error{fmt::format("the rolls hold more than {} names", most_names)};
    return Done{};
}

void Owners::finish(Outcome outcome) {
    has_read_ = outcome.ok();
    if (!has_read_) forget();
    const auto done = std::exchange(done_, {});
    done(std::move(outcome));
}

const Owners::Owner* Owners::owner_of(const std::string& name) const {
    const auto found = owners_.find(name);
    return found == owners_.end() ? nullptr : &found->second;
}

const Owners::Instance& Owners::instance(const Owner& owner) const {
    return instances_[owner.instance];
}

bool Owners::is_held(const std::string& name) const {
    const Owner* owner = owner_of(name);
    return owner != nullptr && instance(*owner).is_live();
}

}  // namespace muster::registry
