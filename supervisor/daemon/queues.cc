#include "daemon/queues.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace muster::daemon {

namespace {

// Names come from Redis: what cannot be a label is left alone.
bool can_be_shown(const std::string& name) {
    return !name.empty() && name.size() <= Queues::longest_name && is_utf8(name);
}

}  // namespace

Queues::Queues(loop::Loop& loop, Read read)
    : loop_(loop), read_(std::move(read)), timer_(loop, [this] { call_waiting(); }) {}

void Queues::want(ProgramId program,
                  core::RegistryKind kind,
                  const std::vector<std::string>& names) {
    std::set<registry::Queue> queues;
    for (const std::string& name : names) queues.insert({kind, name});
    if (const auto known = wanted_.find(program);
        known == wanted_.end() ? queues.empty() : known->second == queues)
        return;
    asked_at_ = {};  // what was seen before does not tell of them
    if (queues.empty())
        wanted_.erase(program);
    else
        wanted_[program] = std::move(queues);
}

void Queues::met(ProgramId program,
                 core::RegistryKind kind,
                 const std::vector<std::string>& names) {
    if (core::traits(kind).queue_keys.empty()) return;
    std::set<registry::Queue>& queues = met_[program];
    for (const std::string& name : names) {
        if (can_be_shown(name) && queues.size() < most_known) queues.insert({kind, name});
    }
}

void Queues::redis_is_away() {
    depths_.clear();
    seen_at_.reset();
    asked_at_ = {};
}

std::vector<registry::Queue> Queues::all() const {
    std::vector<registry::Queue> queues;
    std::set<registry::Queue> known;
    for (const auto* from : {&wanted_, &met_}) {
        for (const auto& [program, names] : *from) {
            for (const registry::Queue& queue : names) {
                if (known.insert(queue).second) queues.push_back(queue);
            }
        }
    }
    return queues;
}

void Queues::refresh(Duration fresh_for, std::function<void()> then) {
    const bool is_fresh = asked_at_ != TimePoint{} && loop_.now() - asked_at_ < fresh_for;
    if (is_fresh && !is_looking_) return then();
    if (is_looking_ && waiting_.empty()) return then();  // it takes too long: what there is
    waiting_.push_back(std::move(then));
    if (is_looking_) return;
    std::vector<registry::Queue> queues = all();
    if (queues.empty()) return call_waiting();
    if (queues.size() > most_queues) queues.resize(most_queues);
    is_looking_ = true;
    asked_at_ = loop_.now();
    timer_.arm(asked_at_ + patience);
    // By reference: over the move GCC 14 warns of an error's text that is not there.
    read_(queues,
          lifeline_.guard([this](const Result<registry::Depths>& depths) { looked(depths); }));
}

void Queues::looked(const Result<registry::Depths>& depths) {
    is_looking_ = false;
    timer_.disarm();
    if (depths) {
        depths_ = *depths;
        seen_at_ = loop_.now();
    } else {
        depths_.clear();
        seen_at_.reset();
    }
    call_waiting();
}

void Queues::call_waiting() {
    for (const auto& call : std::exchange(waiting_, {})) call();
}

std::optional<std::uint64_t> Queues::depth_for(ProgramId program, Duration fresh_for) const {
    const auto queues = wanted_.find(program);
    if (queues == wanted_.end() || !seen_at_ || loop_.now() - *seen_at_ > fresh_for)
        return std::nullopt;
    std::uint64_t sum = 0;
    for (const registry::Queue& queue : queues->second) {
        const auto depth = depths_.find(queue);
        if (depth == depths_.end()) return std::nullopt;
        sum += depth->second;
    }
    return sum;
}

control::QueuesView Queues::view() const {
    control::QueuesView view;
    for (const auto& [queue, depth] : depths_)
        view.depths.push_back({core::traits(queue.kind).word, queue.name, depth});
    if (seen_at_) view.age = loop_.now() - *seen_at_;
    const std::size_t known = all().size();
    view.left_out = known - std::min(known, most_queues);
    return view;
}

}  // namespace muster::daemon
