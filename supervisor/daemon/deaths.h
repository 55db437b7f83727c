#pragma once
// The last deaths of one process: each from the reaping to the release, for `why`.

#include <cstddef>
#include <string>
#include <vector>

#include "base/id.h"
#include "control/api.h"
#include "core/actions.h"

namespace muster::daemon {

class Deaths {
public:
    static constexpr std::size_t most_kept = 5;
    static constexpr std::size_t most_lines = 10;  // of what it said last
    static constexpr std::size_t most_text = 1024;

    control::Death& add(control::Death death);  // the oldest goes
    // Nothing: it is not kept any more.
    [[nodiscard]] control::Death* find(Incarnation who);
    // Where the last death led to. Transitions of before it, and later ones, are none of its
    // affair.
    // The death, where this told where it led to.
    const control::Death* shown(const core::Transition& transition);

    [[nodiscard]] const std::vector<control::Death>& all() const { return all_; }  // oldest first

private:
    std::vector<control::Death> all_;
};

// The end of a text, at most Deaths::most_text bytes, from the beginning of a line or character.
std::string last_words(std::string text);

}  // namespace muster::daemon
