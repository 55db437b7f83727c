#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

#include "control/api.h"

namespace muster::daemon {

// Several answers as one: told when the last share is in, in the order in which they came.
class Gathered {
public:
    explicit Gathered(control::VerbDone done) : done_(std::move(done)) {}

    static control::VerbDone share(const std::shared_ptr<Gathered>& all) {
        ++all->open_;
        return
            [all](std::vector<control::VerbOutcome> outcomes) { all->take(std::move(outcomes)); };
    }
    void close() { take({}); }  // there are no more shares

private:
    void take(std::vector<control::VerbOutcome> outcomes) {
        std::move(outcomes.begin(), outcomes.end(), std::back_inserter(outcomes_));
        if (--open_ == 0) done_(std::move(outcomes_));
    }

    control::VerbDone done_;
    std::vector<control::VerbOutcome> outcomes_;
    std::size_t open_ = 1;
};

}  // namespace muster::daemon
