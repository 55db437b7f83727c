#include "daemon/lives.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/text.h"
#include "daemon/env_file.h"
#include "daemon/service_manager.h"

extern char** environ;  // NOLINT(readability-redundant-declaration): not declared by every libc

namespace muster::daemon {

namespace {

// The base without MUSTER_*: what our own supervisor told us is not for our children. Nor is where
// a service manager listens, unless the one child is all that it knows of.
std::vector<std::string> own_environment(bool has_service_manager) {
    std::vector<std::string> environment;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string_view pair(*entry);
        if (pair.starts_with("MUSTER_")) continue;
        if (has_service_manager && is_for_us(pair.substr(0, pair.find('=')))) continue;
        environment.emplace_back(pair);
    }
    return environment;
}

// What a registry's key cannot hold, or a log line would quote, is replaced.
std::string as_name(std::string text) {
    for (char& c : text) {
        if (c != child::pid_marker && (static_cast<unsigned char>(c) <= ' ' || c == 127)) c = '-';
    }
    return text;
}

std::string new_uuid() {  // version 4 (RFC 9562, 5.4), from the kernel's random source
    std::string hex;
    for (const char c : random_text(64)) {
        if (c >= 'a' && c <= 'f') hex += c;
        if (c >= '0' && c <= '9') hex += c;
    }
    if (hex.size() < 32) return new_uuid();
    hex[12] = '4';
    hex[16] = "89ab"[static_cast<unsigned char>(hex[16]) % 4];
    return fmt::format("{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4),
                       hex.substr(16, 4), hex.substr(20, 12));
}

}  // namespace

Result<PreparedProgram> prepare_program(const std::string& name,
                                        const config::ProgramSettings& settings) {
    PreparedProgram prepared;
    if (!settings.user.empty() || !settings.group.empty()) {
        auto identity = child::resolve_identity(settings.user, settings.group);
        if (!identity) return identity.error().while_doing("program." + name);
        prepared.identity = std::make_unique<child::Identity>(std::move(*identity));
    }
    if (!settings.env_file.empty()) {
        auto values = read_env_file(settings.env_file);
        if (!values) return values.error().while_doing("program." + name);
        prepared.from_file = std::move(*values);
    }
    return prepared;
}

Outcome Lives::prepare(Surroundings surroundings) {
    surroundings_ = std::move(surroundings);
    environment_ = own_environment(!surroundings_.child_gets_stdin);
    for (std::uint32_t p = 0; p < programs_.count(); ++p) {
        const ProgramId id{p};
        auto prepared = prepare_program(fleet_.program_name(id), programs_.settings(id));
        if (!prepared) return prepared.error();
        prepared_.push_back(std::move(*prepared));
    }
    return Done{};
}

void Lives::adopt(ProgramId program, PreparedProgram prepared) {
    if (prepared_.size() <= program.value()) prepared_.resize(program.value() + 1);
    prepared_[program.value()] = std::move(prepared);
}

std::optional<std::uint32_t> Lives::uid_of(ProgramId program) const {
    const auto& identity = prepared_[program.value()].identity;
    return identity ? std::optional<std::uint32_t>(identity->uid) : std::nullopt;
}

const RunSettings& Lives::life_of(ProcessId process) const {
    const auto& made_of = parts_[process.value()].made_of;
    return made_of ? *made_of : settings_of(process);
}

config::Placeholders Lives::placeholders(ProcessId process) const {
    const ProcessParts& parts = parts_[process.value()];
    config::Placeholders values;
    values.name = parts.name;
    values.program = fleet_.program_name(fleet_.program_of(process));
    values.process = parts.id;
    values.index = std::to_string(parts.index);
    values.host = surroundings_.host;
    values.service = surroundings_.service;
    values.instance = surroundings_.instance;
    values.pid = std::string(1, child::pid_marker);
    return values;
}

std::string Lives::new_name(ProcessId process) const {
    config::Placeholders values = placeholders(process);
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    values.time = std::to_string(std::chrono::duration_cast<std::chrono::seconds>(now).count());
    values.rand = random_text(10);
    if (config::has_placeholder(settings_of(process).name_template, "uuid"))
        values.uuid = new_uuid();
    return as_name(config::fill(settings_of(process).name_template, values));
}

std::optional<registry::CustomEntry> Lives::custom_entry(ProcessId process) const {
    const auto& custom = life_of(process).custom;
    const auto& leader = parts_[process.value()].leader;
    if (!custom || !leader) return std::nullopt;
    config::Placeholders values = placeholders(process);
    values.pid = std::to_string(leader->value());
    registry::CustomEntry entry{.set = config::fill(custom->set, values),
                                .member = config::fill(custom->member, values),
                                .key = config::fill(custom->key, values),
                                .fields = {}};
    for (const auto& [field, value] : custom->fields)
        entry.fields.emplace_back(field, config::fill(value, values));
    return entry;
}

// What the program's settings and its file say, the settings before the file.
Lives::Values Lives::own_values(ProcessId process, const config::Placeholders& values) const {
    const ProgramId program = fleet_.program_of(process);
    const config::ProgramSettings& settings = programs_.settings(program);
    Values own;
    for (const auto& [key, value] : settings.environment) own[key] = config::fill(value, values);
    own.insert(prepared_[program.value()].from_file.begin(),
               prepared_[program.value()].from_file.end());
    if (settings.listener) own.merge(listener_values(process));
    return own;
}

child::ChildSpec Lives::spec_of(ProcessId process, Incarnation who) const {
    const ProgramId program = fleet_.program_of(process);
    const config::ProgramSettings& settings = programs_.settings(program);
    const std::vector<std::string>& command = programs_.command(program);
    const PreparedProgram& prepared = prepared_[program.value()];
    const ProcessParts& parts = parts_[process.value()];
    const config::Placeholders values = placeholders(process);
    child::ChildSpec spec;
    spec.argv.reserve(command.size());
    for (const std::string& word : command) spec.argv.push_back(config::fill(word, values));
    const Values own = own_values(process, values);
    if (own.empty()) {
        spec.inherited = environment_;
    } else {
        for (const std::string& entry : environment_) {
            if (!own.contains(entry.substr(0, entry.find('=')))) spec.environment.push_back(entry);
        }
    }
    for (const auto& [key, value] : own)
        spec.environment.push_back(fmt::format("{}={}", key, value));
    spec.environment.push_back("MUSTER_WORKER_NAME=" + parts.name);
    spec.environment.push_back("MUSTER_PROGRAM=" + fleet_.program_name(program));
    spec.environment.push_back("MUSTER_INDEX=" + std::to_string(parts.index));
    if (!surroundings_.control_path.empty())
        spec.environment.push_back("MUSTER_CONTROL=" + surroundings_.control_path);
    for (std::string& mark : marks(process, who)) spec.environment.push_back(std::move(mark));
    spec.directory = config::fill(settings.directory, values);
    if (prepared.identity) spec.identity = *prepared.identity;
    spec.umask = settings.umask;
    for (const config::Limit& limit : settings.limits)
        spec.limits.push_back({limit.resource, limit.soft, limit.hard});
    spec.nice = settings.nice;
    spec.oom_score_adj = settings.oom_score_adj;
    spec.gets_our_stdin = surroundings_.child_gets_stdin;
    return spec;
}

// What supervisord's listeners find their server by.
Lives::Values Lives::listener_values(ProcessId process) const {
    const std::string& program = fleet_.program_name(fleet_.program_of(process));
    Values values{{"SUPERVISOR_ENABLED", "1"},
                  {"SUPERVISOR_PROCESS_NAME", parts_[process.value()].id},
                  {"SUPERVISOR_GROUP_NAME", program}};
    for (const config::Group& each : groups_) {
        if (std::find(each.programs.begin(), each.programs.end(), program) != each.programs.end())
            values["SUPERVISOR_GROUP_NAME"] = each.name;
    }
    if (!surroundings_.control_path.empty())
        values["SUPERVISOR_SERVER_URL"] = "unix://" + surroundings_.control_path;
    return values;
}

std::string Lives::instance_mark() const {
    return "MUSTER_INSTANCE=" + surroundings_.instance;
}

std::vector<std::string> Lives::marks(ProcessId process, Incarnation who) const {
    return {instance_mark(), "MUSTER_PROCESS=" + parts_[process.value()].id,
            "MUSTER_INCARNATION=" + std::to_string(who.value())};
}

}  // namespace muster::daemon
