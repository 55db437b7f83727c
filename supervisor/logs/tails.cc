#include "logs/tails.h"

namespace muster::logs {

void Tails::append(StreamKey stream, std::string_view bytes, std::size_t keep) {
    if (bytes.empty()) return;
    rings_.try_emplace(stream, keep).first->second.append(bytes);
    if (followers_.empty()) return;
    const auto followed = followers_.find(stream);
    if (followed == followers_.end()) return;
    for (Follower* follower : followed->second) follower->output(bytes);
}

std::string Tails::last(StreamKey stream, std::size_t lines) const {
    const auto ring = rings_.find(stream);
    return ring == rings_.end() ? std::string{} : ring->second.last(lines);
}

std::uint64_t Tails::size(StreamKey stream) const {
    const auto ring = rings_.find(stream);
    return ring == rings_.end() ? 0 : ring->second.bytes_ever();
}

std::string Tails::piece(StreamKey stream, std::uint64_t at, std::uint64_t length) const {
    const auto ring = rings_.find(stream);
    return ring == rings_.end() ? std::string{} : ring->second.piece(at, length);
}

void Tails::follow(StreamKey stream, Follower& follower) {
    followers_[stream].push_back(&follower);
}

void Tails::forget(StreamKey stream, Follower& follower) {
    const auto followed = followers_.find(stream);
    if (followed == followers_.end()) return;
    std::erase(followed->second, &follower);
    if (followed->second.empty()) followers_.erase(followed);
}

bool Tails::is_followed(StreamKey stream) const {
    return !followers_.empty() && followers_.contains(stream);
}

}  // namespace muster::logs
