#include "daemon/deaths.h"

#include <algorithm>
#include <utility>

namespace muster::daemon {

namespace {

// After a death comes BACKOFF, EXITED or FATAL, or what a stop was for.
bool is_outcome(const core::Transition& transition) {
    switch (transition.to) {
        case core::State::backoff:
        case core::State::exited:
        case core::State::fatal:
        case core::State::stopped:
            return true;
        case core::State::starting:
            return transition.from == core::State::stopping;
        case core::State::running:
        case core::State::stopping:
            return false;
    }
    return false;
}

}  // namespace

control::Death& Deaths::add(control::Death death) {
    if (all_.size() >= most_kept) all_.erase(all_.begin());
    return all_.emplace_back(std::move(death));
}

control::Death* Deaths::find(Incarnation who) {
    const auto found = std::find_if(all_.begin(), all_.end(), [&](const control::Death& death) {
        return death.incarnation == who.value();
    });
    return found == all_.end() ? nullptr : &*found;
}

const control::Death* Deaths::shown(const core::Transition& transition) {
    if (all_.empty() || !is_outcome(transition)) return nullptr;
    control::Death& last = all_.back();
    if (!last.cause.empty()) return nullptr;
    last.cause = core::cause_text(transition.cause);
    last.next = core::state_name(transition.to);
    last.pause = transition.pause;
    return &last;
}

std::string last_words(std::string text) {
    if (text.size() <= Deaths::most_text) return text;
    text.erase(0, text.size() - Deaths::most_text);
    const auto newline = text.find('\n');
    if (newline != std::string::npos && newline + 1 < text.size()) {
        text.erase(0, newline + 1);
        return text;
    }
    while (!text.empty() && (static_cast<unsigned char>(text.front()) & 0xc0U) == 0x80U)
        text.erase(0, 1);
    return text;
}

}  // namespace muster::daemon
