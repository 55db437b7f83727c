#include "logs/tail_ring.h"

#include <algorithm>
#include <cstring>

namespace muster::logs {

namespace {

constexpr std::size_t least_memory = 1024;

}  // namespace

void TailRing::append(std::string_view bytes) {
    ever_ += bytes.size();
    if (bytes.size() > limit_) bytes.remove_prefix(bytes.size() - limit_);
    if (bytes.empty()) return;
    make_room(std::min(held_ + bytes.size(), limit_));
    const std::size_t end = (begin_ + held_) % ring_.size();
    const std::size_t before_the_edge = std::min(bytes.size(), ring_.size() - end);
    std::memcpy(ring_.data() + end, bytes.data(), before_the_edge);
    std::memcpy(ring_.data(), bytes.data() + before_the_edge, bytes.size() - before_the_edge);
    held_ += bytes.size();
    if (held_ > ring_.size()) {
        begin_ = (begin_ + held_ - ring_.size()) % ring_.size();
        held_ = ring_.size();
    }
}

void TailRing::make_room(std::size_t wanted) {
    if (ring_.size() >= wanted) return;
    std::size_t size = std::max(ring_.size(), std::min(least_memory, limit_));
    while (size < wanted) size = std::min(size * 2, limit_);
    std::string larger(size, '\0');
    all().copy(larger.data(), held_);
    ring_ = std::move(larger);
    begin_ = 0;
}

std::string TailRing::all() const {
    const std::size_t before_the_edge = std::min(held_, ring_.size() - begin_);
    std::string text;
    text.reserve(held_);
    text.append(ring_, begin_, before_the_edge);
    text.append(ring_, 0, held_ - before_the_edge);
    return text;
}

std::string TailRing::last(std::size_t lines) const {
    const std::string text = all();
    std::string_view whole = text;
    if (ever_ > held_) {  // the oldest line has lost its beginning
        const auto end = whole.find('\n');
        if (end != std::string_view::npos && end + 1 < whole.size()) whole.remove_prefix(end + 1);
    }
    return std::string(last_lines(whole, lines));
}

std::string TailRing::piece(std::uint64_t at, std::uint64_t length) const {
    const std::uint64_t first = ever_ - held_;
    const std::uint64_t from = std::max(at, first);
    if (from >= ever_) return {};
    return all().substr(from - first, length);
}

std::string_view last_lines(std::string_view text, std::size_t lines) {
    if (lines == 0) return {};
    std::size_t from = text.size();
    if (from > 0 && text[from - 1] == '\n') --from;
    for (; lines > 0; --lines) {
        const auto end = from == 0 ? std::string_view::npos : text.rfind('\n', from - 1);
        if (end == std::string_view::npos) return text;
        from = end;
    }
    return text.substr(from + 1);
}

}  // namespace muster::logs
