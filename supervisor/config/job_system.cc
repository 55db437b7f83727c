// What a program's job system brings along: how it is stopped, how it is known to be ready, what
// becomes of a dead worker's job. And the table [program.NAME.custom].

#include "core/job_system.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "base/text.h"
#include "config/schema.h"

namespace muster::config {

namespace {

using namespace std::chrono_literals;

// Sidekiq's own patience with its jobs, after which it pushes them back; then it needs a moment.
constexpr Duration sidekiq_timeout = 25s;
constexpr Duration sidekiq_push_back = 5s;

std::optional<Duration> seconds(std::string_view word) {
    const auto length = parse_duration(word);
    if (!length || *length > 24h) return std::nullopt;
    return *length;
}

// -t N, -tN, --timeout N, --timeout=N. What stands in sidekiq.yml is not seen.
Duration sidekiq_timeout_of(const std::vector<std::string>& command) {
    for (std::size_t i = 0; i < command.size(); ++i) {
        std::string_view word = command[i];
        const bool is_long = word.starts_with("--timeout");
        if (!is_long && !word.starts_with("-t")) continue;
        word.remove_prefix(is_long ? 9 : 2);
        if (word.empty() && i + 1 < command.size()) word = command[i + 1];
        if (is_long && word.starts_with('=')) word.remove_prefix(1);
        if (const auto found = seconds(word)) return *found;
    }
    return sidekiq_timeout;
}

std::vector<core::StopStep> default_stop(const Program& program) {
    const auto steps = core::traits(program.registry).stop;
    std::vector<core::StopStep> stop(steps.begin(), steps.end());
    if (program.registry == RegistryKind::sidekiq)
        stop.front().wait = sidekiq_timeout_of(program.command) + sidekiq_push_back;
    return stop;
}

void settle_ready(ProgramDraft& draft, Reading& reading) {
    Program& program = draft.program;
    const core::Traits& traits = core::traits(program.registry);
    if (traits.can_be_seen && !draft.has_ready) program.ready = ReadyRegistered{};
    if (traits.can_be_seen || !std::holds_alternative<ReadyRegistered>(program.ready)) return;
    if (program.registry == RegistryKind::none)
        return reading.complain(
            draft.ready_at, fmt::format("program.{}.ready: 'registered' needs a registry; write "
                                        "registry = \"rq\", or ready = {{ after = \"1s\" }}",
                                        program.name));
    reading.complain(
        draft.ready_at,
        fmt::format("program.{}.ready: 'registered' cannot be: {} keeps nothing in "
                    "Redis that tells a live worker; write ready = {{ after = \"5s\" }}",
                    program.name, traits.word));
}

void settle_jobs(ProgramDraft& draft, Reading& reading) {
    Program& program = draft.program;
    const core::Traits& traits = core::traits(program.registry);
    if (program.registry == RegistryKind::none || traits.can_hand_back) return;
    if (draft.has_jobs && program.jobs != Jobs::leave)
        return reading.complain(
            draft.jobs_at,
            fmt::format("program.{}.jobs: nothing can be done from outside for the job of a dead "
                        "{} worker ({}); write jobs = \"leave\", or leave the key out",
                        program.name, traits.word, traits.left_alone));
    program.jobs = Jobs::leave;
}

template <std::string CustomRegistry::*member>
void read_pattern(const Value& value, CustomRegistry& custom) {
    auto text = value.filled_text(Field::registration);
    if (!text) return;
    if (text->empty() || text->size() > 512)
        return value.complain("is made of 1 to 512 characters");
    custom.*member = std::move(*text);
}

void read_fields(const Value& value, CustomRegistry& custom) {
    value.each_entry([&](const Value& entry) {
        auto text = entry.filled_text(Field::registration);
        if (!text) return;
        if (custom.fields.size() >= 16)
            return entry.complain_of_key("is one too many: 16 fields are enough");
        custom.fields[std::string(entry.key())] = std::move(*text);
    });
}

bool has_name(std::string_view pattern) {
    return has_placeholder(pattern, "name");
}

// Whatever is removed must be of one life of one worker: its unique name has to be in it.
void settle_custom(ProgramDraft& draft, Reading& reading) {
    Program& program = draft.program;
    if (program.registry != RegistryKind::custom) {
        if (draft.has_custom)
            reading.complain(draft.custom_at,
                             fmt::format("program.{}.custom: acts only with registry = \"custom\"",
                                         program.name));
        return;
    }
    const auto complain = [&](std::string_view what) {
        reading.complain(draft.has_custom ? draft.custom_at : draft.name_at,
                         fmt::format("program.{}.custom{}", program.name, what));
    };
    if (!draft.has_custom)
        return complain(
            ": is missing; write set = \"workers\" and member = \"{name}\", or key = "
            "\"worker:{name}\", as your workers write them");
    CustomRegistry& custom = *program.custom;
    if (custom.set.empty() && custom.key.empty())
        return complain(": has neither set nor key: there is nothing by which a worker is seen");
    if (custom.set.empty() && !custom.member.empty())
        complain(".member: stands in a set; write set, too");
    if (custom.key.empty() && !custom.fields.empty())
        complain(".fields: are those of a hash; write key, too");
    if (!custom.set.empty() && custom.member.empty()) custom.member = "{name}";
    if (has_name(custom.set))
        complain(".set: holds all workers, so {name} cannot stand in it; it stands in member");
    if (!custom.set.empty() && !has_name(custom.member))
        complain(".member: has no {name}: it could be another worker's");
    if (!custom.key.empty() && !has_name(custom.key))
        complain(".key: has no {name}: it could be another worker's");
}

}  // namespace

void read_custom(const Value& value, ProgramDraft& draft) {
    static constexpr Key<CustomRegistry> keys[] = {
        {"set", read_pattern<&CustomRegistry::set>},
        {"member", read_pattern<&CustomRegistry::member>},
        {"key", read_pattern<&CustomRegistry::key>},
        {"fields", read_fields},
    };
    draft.has_custom = true;
    draft.custom_at = value.key_position();
    read_table<CustomRegistry>(value, draft.program.custom.emplace(), keys);
}

void complete_job_system(ProgramDraft& draft, Reading& reading) {
    settle_ready(draft, reading);
    settle_jobs(draft, reading);
    settle_custom(draft, reading);
    if (draft.program.policy.stop.empty()) draft.program.policy.stop = default_stop(draft.program);
}

}  // namespace muster::config
