// What no single key can know: whether the programs fit together.

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <unordered_map>

#include "base/text.h"
#include "config/schema.h"

namespace muster::config {

namespace {

class FleetCheck {
public:
    FleetCheck(std::span<const ProgramDraft> programs, Reading& reading)
        : programs_(programs), reading_(reading), marks_(programs.size(), Mark::unseen) {
        index_.reserve(programs.size());
        for (std::size_t i = 0; i < programs.size(); ++i)
            index_.emplace(programs[i].program.name, i);
    }

    void run() {
        for (const ProgramDraft& draft : programs_) {
            check_names(draft);
            check_id(draft);
        }
        for (std::size_t i = 0; i < programs_.size(); ++i) find_cycle(i);
    }

private:
    enum class Mark : unsigned char { unseen, on_the_way, done };

    void complain_of_after(const ProgramDraft& draft, std::size_t item, std::string_view what) {
        reading_.complain(draft.after_at[item],
                          fmt::format("program.{}.after: {}", draft.program.name, what));
    }

    void check_names(const ProgramDraft& draft) {
        for (std::size_t i = 0; i < draft.program.after.size(); ++i) {
            const std::string& name = draft.program.after[i].program;
            if (index_.contains(name)) continue;
            std::vector<std::string_view> names;
            for (const ProgramDraft& other : programs_) names.push_back(other.program.name);
            complain_of_after(
                draft, i, fmt::format("there is no program '{}'{}", name, suggestion(name, names)));
        }
    }

    // "shap_01" is the second process of a program "shap" with two.
    void check_id(const ProgramDraft& draft) {
        const std::string& name = draft.program.name;
        const auto bar = name.rfind('_');
        if (bar == std::string::npos || name.size() - bar < 3) return;
        std::uint32_t number = 0;
        const auto* end = name.data() + name.size();
        if (std::from_chars(name.data() + bar + 1, end, number).ptr != end) return;
        const auto found = index_.find(std::string_view(name).substr(0, bar));
        if (found == index_.end()) return;
        const Program& other = programs_[found->second].program;
        if (number >= other.processes.value_or(0) ||
            name != fmt::format("{}_{:02}", other.name, number))
            return;
        reading_.complain(
            draft.name_at,
            fmt::format("program.{}: program {} has a process of this name", name, other.name));
    }

    // Depth first, with a stack of our own: a chain may be as long as the file.
    void find_cycle(std::size_t start) {
        struct Step {
            std::size_t program;
            std::size_t next;  // of its `after`
        };
        if (marks_[start] != Mark::unseen) return;
        std::vector<Step> way{{start, 0}};
        marks_[start] = Mark::on_the_way;
        while (!way.empty()) {
            Step& step = way.back();
            const ProgramDraft& draft = programs_[step.program];
            if (step.next == draft.program.after.size()) {
                marks_[step.program] = Mark::done;
                way.pop_back();
                continue;
            }
            const std::size_t item = step.next++;
            const auto found = index_.find(draft.program.after[item].program);
            if (found == index_.end()) continue;
            if (marks_[found->second] == Mark::on_the_way) {
                std::string names;
                auto from = way.begin();
                while (from->program != found->second) ++from;
                for (; from != way.end(); ++from)
                    names += programs_[from->program].program.name + " → ";
                complain_of_after(draft, item,
                                  fmt::format("goes in a circle: {}{}", names, found->first));
            } else if (marks_[found->second] == Mark::unseen) {
                marks_[found->second] = Mark::on_the_way;
                way.push_back({found->second, 0});
            }
        }
    }

    std::span<const ProgramDraft> programs_;
    Reading& reading_;
    std::vector<Mark> marks_;
    std::unordered_map<std::string_view, std::size_t> index_;
};

}  // namespace

void check_fleet(std::span<const ProgramDraft> programs, Reading& reading) {
    FleetCheck{programs, reading}.run();
}

}  // namespace muster::config
