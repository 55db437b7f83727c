#include "registry/debts.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace muster::registry {
namespace {

const std::string& name_of(const Release& release) {
    return release.registration ? release.registration->name : release.name;
}

}  // namespace

Debts::Debts(loop::Loop& loop, Payer payer, Paid paid)
    : loop_(loop), payer_(std::move(payer)), paid_(std::move(paid)), timer_(loop, [this] {
          is_pausing_ = false;
          pay();
      }) {}

void Debts::add(Release release) {
    const std::string name = name_of(release);
    if (const auto old = by_name_.find(name); old != by_name_.end()) {
        if (release.incarnation < old->second->release.incarnation &&
            release.process == old->second->release.process)
            return;
        // An answer to the old one finds its number gone and pays nothing.
        forget(old->second);
    } else if (debts_.size() >= most_kept) {
        ++given_up_;
        forget(debts_.begin());
    }
    debts_.push_back({++last_number_, std::move(release)});
    by_name_.emplace(name, std::prev(debts_.end()));
    pay();
}

void Debts::forget(std::list<Debt>::iterator debt) {
    by_name_.erase(name_of(debt->release));
    debts_.erase(debt);
}

void Debts::pay_now() {
    timer_.disarm();
    is_pausing_ = false;
    pause_ = Duration{0};
    pay();
}

// Answers never come inside payer_.release(), so the list stands still in this loop.
void Debts::pay() {
    if (is_pausing_ || !payer_.is_reachable()) return;
    for (auto& debt : debts_) {
        if (in_flight_ >= most_in_flight) return;
        if (debt.on_its_way) continue;
        debt.on_its_way = true;
        ++in_flight_;
        payer_.release(debt.release,
                       lifeline_.guard([this, number = debt.number,
                                        name = name_of(debt.release)](Result<Released> result) {
                           answered(number, name, std::move(result));
                       }));
    }
}

void Debts::answered(std::uint64_t number, const std::string& name, Result<Released> result) {
    --in_flight_;
    const auto found = by_name_.find(name);
    if (found == by_name_.end() || found->second->number != number) {  // replaced meanwhile
        pay();
        return;
    }
    const auto debt = found->second;
    if (!result) {
        last_error_ = result.error().message();
        debt->on_its_way = false;
        debts_.splice(debts_.end(), debts_, debt);  // the others first: they may fare better
        pause();
        return;
    }
    pause_ = Duration{0};
    last_error_.clear();
    const Release release = std::move(debt->release);
    by_name_.erase(found);
    debts_.erase(debt);
    pay();
    const auto paid = paid_;
    if (paid) paid(release, *result);
}

// While Redis is away there is nothing to wait for but its return, which is told by pay_now().
void Debts::pause() {
    if (is_pausing_ || !payer_.is_reachable()) return;
    pause_ = std::clamp(pause_ * 2, first_pause, longest_pause);
    is_pausing_ = true;
    timer_.arm(loop_.now() + pause_);
}

}  // namespace muster::registry
