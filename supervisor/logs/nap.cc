#include "logs/nap.h"

#include <algorithm>
#include <utility>

namespace muster::logs {

using namespace std::chrono_literals;

void Naps::nap(Napper& napper) {
    if (napping_.empty()) timer_.arm(loop_.now() + 1ms);
    napping_.push_back(&napper);
}

void Naps::forget(Napper& napper) {
    std::erase(napping_, &napper);
    std::replace(waking_.begin(), waking_.end(), &napper, static_cast<Napper*>(nullptr));
    if (napping_.empty()) timer_.disarm();
}

void Naps::wake_all() {
    waking_.swap(napping_);
    for (std::size_t i = 0; i < waking_.size(); ++i) {  // one that wakes may forget others
        if (Napper* napper = std::exchange(waking_[i], nullptr)) napper->woke();
    }
    waking_.clear();
}

}  // namespace muster::logs
