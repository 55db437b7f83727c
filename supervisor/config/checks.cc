// What no single key can know: whether the programs fit together.

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <unordered_map>

#include "base/text.h"
#include "config/schema.h"

namespace muster::config {

namespace {

class FleetCheck {
public:
    FleetCheck(std::span<const ProgramDraft> programs,
               std::span<const GroupDraft> groups,
               Reading& reading)
        : programs_(programs),
          groups_(groups),
          reading_(reading),
          marks_(programs.size(), Mark::unseen) {
        index_.reserve(programs.size());
        for (const ProgramDraft& draft : programs) priorities_.push_back(draft.program.priority);
    }

    void run() {
        for (std::size_t i = 0; i < programs_.size(); ++i) index_program(i);
        for (const GroupDraft& draft : groups_) check_group(draft);
        for (std::size_t i = 0; i < programs_.size(); ++i) {
            check_names(programs_[i]);
            check_id(programs_[i].program.name, programs_[i].name_at, "program");
            check_priorities(i);
        }
        for (std::size_t i = 0; i < programs_.size(); ++i) find_cycle(i);
    }

private:
    enum class Mark : unsigned char { unseen, on_the_way, done };

    void complain_of_after(const ProgramDraft& draft, std::size_t item, std::string_view what) {
        reading_.complain(draft.after_at[item],
                          fmt::format("program.{}.after: {}", draft.program.name, what));
    }

    void index_program(std::size_t i) {
        const ProgramDraft& draft = programs_[i];
        const auto [first, is_new] = index_.emplace(draft.program.name, i);
        if (is_new) return;
        const Position& other = programs_[first->second].name_at;  // in another file, says TOML
        reading_.complain(draft.name_at,
                          fmt::format("program.{}: is in {}:{}, too", draft.program.name,
                                      reading_.file_name(other.file), other.line));
    }

    void check_group(const GroupDraft& draft) {
        const std::string& name = draft.group.name;
        const auto wrong = [&](Position where, std::string_view what) {
            reading_.complain(where, fmt::format("group.{}: {}", name, what));
        };
        if (index_.contains(name)) wrong(draft.name_at, "there is a program of this name");
        if (!group_names_.insert(name).second) wrong(draft.name_at, "there are two of this name");
        check_id(name, draft.name_at, "group");
        for (std::size_t i = 0; i < draft.group.programs.size(); ++i) {
            const std::string& member = draft.group.programs[i];
            const auto found = index_.find(member);
            if (found == index_.end()) {
                std::vector<std::string_view> names;
                for (const ProgramDraft& other : programs_) names.push_back(other.program.name);
                wrong(draft.programs_at[i],
                      fmt::format("there is no program '{}'{}", member, suggestion(member, names)));
                continue;
            }
            const auto [group, is_new] = group_of_.emplace(member, name);
            if (!is_new)
                wrong(draft.programs_at[i],
                      fmt::format("program {} is in group {} already", member, group->second));
            priorities_[found->second] = draft.group.priority;
        }
    }

    // The shutdown goes by both: what starts after another must not have to outlive it.
    void check_priorities(std::size_t program) {
        const ProgramDraft& draft = programs_[program];
        for (std::size_t i = 0; i < draft.program.after.size(); ++i) {
            const auto other = index_.find(draft.program.after[i].program);
            if (other == index_.end()) continue;
            const std::uint32_t theirs = priorities_[other->second];
            if (theirs <= priorities_[program]) continue;
            complain_of_after(
                draft, i,
                fmt::format("{} has priority {}, and this {}: what starts first has the lower "
                            "number, or the same",
                            other->first, theirs, priorities_[program]));
        }
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
    void check_id(const std::string& name, Position where, std::string_view what) {
        const auto bar = name.rfind('_');
        if (bar == std::string::npos || name.size() - bar < 3) return;
        std::uint32_t number = 0;
        const auto* end = name.data() + name.size();
        if (std::from_chars(name.data() + bar + 1, end, number).ptr != end) return;
        const auto found = index_.find(std::string_view(name).substr(0, bar));
        if (found == index_.end()) return;
        const Program& other = programs_[found->second].program;
        if (!other.processes || number >= other.most_processes() ||
            name != fmt::format("{}_{:02}", other.name, number))
            return;
        reading_.complain(where, fmt::format("{}.{}: program {} has a process of this name", what,
                                             name, other.name));
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
    std::span<const GroupDraft> groups_;
    Reading& reading_;
    std::vector<Mark> marks_;
    std::unordered_map<std::string_view, std::size_t> index_;
    std::unordered_map<std::string_view, std::string_view> group_of_;
    std::set<std::string_view> group_names_;
    std::vector<std::uint32_t> priorities_;  // of each program, or of its group
};

}  // namespace

void check_fleet(std::span<const ProgramDraft> programs,
                 std::span<const GroupDraft> groups,
                 Reading& reading) {
    FleetCheck{programs, groups, reading}.run();
}

std::vector<core::Priority> priorities_of(const Config& config) {
    std::unordered_map<std::string_view, std::uint32_t> groups;
    for (const Group& group : config.groups) {
        for (const std::string& program : group.programs) groups.emplace(program, group.priority);
    }
    std::vector<core::Priority> priorities;
    priorities.reserve(config.programs.size());
    for (const Program& program : config.programs) {
        const auto group = groups.find(program.name);
        priorities.push_back(
            {group == groups.end() ? program.priority : group->second, program.priority});
    }
    return priorities;
}

}  // namespace muster::config
