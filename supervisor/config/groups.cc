// The tables [group.NAME].

#include "config/schema.h"

namespace muster::config {

namespace {

void read_programs(const Value& value, GroupDraft& draft) {
    value.each_item([&](const Value& item) {
        auto name = item.text();
        if (!name) return;
        draft.group.programs.push_back(std::move(*name));
        draft.programs_at.push_back(item.position());
    });
}

constexpr Key<GroupDraft> keys[] = {
    {"programs", read_programs},
    {"priority",
     [](const Value& v, GroupDraft& d) {
         if (const auto priority = read_priority(v)) d.group.priority = *priority;
     }},
};

}  // namespace

std::optional<std::uint32_t> read_priority(const Value& value) {
    return value.whole<std::uint32_t>(0, 1'000'000);
}

void read_groups(const Value& table, std::vector<GroupDraft>& groups) {
    table.each_entry([&](const Value& entry) {
        const std::string_view name = entry.key();
        if (const auto why = wrong_name(name, "group"); !why.empty()) entry.complain_of_key(why);
        GroupDraft& draft = groups.emplace_back();
        draft.group.name = name;
        draft.name_at = entry.key_position();
        read_table<GroupDraft>(entry, draft, keys);
        if (entry.kind() == Value::Kind::table && !entry.has("programs"))
            entry.complain_of_key("has no programs");
    });
}

}  // namespace muster::config
