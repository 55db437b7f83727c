#include "daemon/memory_watch.h"

#include <memory>
#include <utility>

#include "child/memory.h"
#include "loop/work.h"

namespace muster::daemon {

namespace {

using namespace std::chrono_literals;

constexpr Duration look_pause = 5s;
constexpr std::uint32_t looks_over_soft = 2;  // a peak between two looks is nobody's affair

}  // namespace

void MemoryWatch::want(bool is_wanted) {
    is_wanted_ = is_wanted;
    if (!is_wanted) {
        seen_.clear();
        return timer_.disarm();
    }
    if (!is_looking_ && !timer_.is_armed()) timer_.arm(loop_.now() + look_pause);
}

void MemoryWatch::look() {
    struct Look {
        std::vector<Watched> watched;
        std::vector<pid_t> leaders;
        std::vector<std::uint64_t> bytes;
    };
    auto look = std::make_shared<Look>();
    look->watched = events_.watched();
    for (const Watched& one : look->watched) look->leaders.push_back(one.leader.value());
    if (look->leaders.empty()) return timer_.arm(loop_.now() + look_pause);
    is_looking_ = true;
    loop::run_in_pool(
        loop_, [look] { look->bytes = child::session_memory(look->leaders); },
        lifeline_.guard([this, look] { looked(look->watched, look->bytes); }));
}

void MemoryWatch::looked(const std::vector<Watched>& watched,
                         const std::vector<std::uint64_t>& bytes) {
    is_looking_ = false;
    if (!is_wanted_) return;
    timer_.arm(loop_.now() + look_pause);
    judge(watched, bytes);
}

void MemoryWatch::judge(const std::vector<Watched>& watched,
                        const std::vector<std::uint64_t>& bytes) {
    for (std::size_t i = 0; i < watched.size(); ++i) {
        const Watched& one = watched[i];
        Seen& seen = seen_[one.process];
        if (seen.who != one.who) seen = {one.who, 0, false, false};
        const bool is_over_soft = one.limit.soft > 0 && bytes[i] > one.limit.soft;
        seen.over_soft = is_over_soft ? seen.over_soft + 1 : 0;
        if (one.limit.hard > 0 && bytes[i] > one.limit.hard) {
            if (!std::exchange(seen.told_hard, true)) events_.too_big(one, bytes[i], Excess::hard);
        } else if (seen.over_soft >= looks_over_soft) {
            if (!std::exchange(seen.told_soft, true)) events_.too_big(one, bytes[i], Excess::soft);
        }
    }
}

}  // namespace muster::daemon
