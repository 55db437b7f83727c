// Another configuration while it runs: the file read again, and applied whole or group by group.

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "base/text.h"
#include "config/load.h"
#include "daemon/gathered.h"
#include "daemon/supervisor.h"
#include "loop/work.h"

namespace muster::daemon {

namespace {

control::Changes changes_of(const config::Difference& difference, bool is_dry_run) {
    control::Changes changes{is_dry_run, difference.added, difference.removed,
                             {},         difference.live,  difference.needs_restart};
    for (const config::ProgramChange& each : difference.changed) {
        changes.changed.push_back(
            {each.program, each.live, each.next_start, each.restart, each.processes});
    }
    return changes;
}

// As supervisord sees it: its group's name, or its own.
const std::string& group_name(const config::Config& config, const std::string& program) {
    for (const config::Group& group : config.groups) {
        if (std::find(group.programs.begin(), group.programs.end(), program) !=
            group.programs.end())
            return group.name;
    }
    return program;
}

std::set<std::string> group_names(const config::Config& config) {
    std::set<std::string> names;
    for (const config::Program& program : config.programs)
        names.insert(group_name(config, program.name));
    return names;
}

std::vector<std::string> members(const config::Config& config, const std::string& group) {
    std::vector<std::string> programs;
    for (const config::Program& program : config.programs) {
        if (group_name(config, program.name) == group) programs.push_back(program.name);
    }
    return programs;
}

control::ComparedGroups compared(const config::Config& running, const config::Config& wanted) {
    const std::set<std::string> before = group_names(running);
    const std::set<std::string> after = group_names(wanted);
    const config::Difference difference = config::compare(running, wanted);
    std::set<std::string> touched;
    for (const std::string& program : difference.added) touched.insert(group_name(wanted, program));
    for (const std::string& program : difference.removed)
        touched.insert(group_name(running, program));
    for (const config::ProgramChange& change : difference.changed)
        touched.insert(group_name(running, change.program));
    for (const std::string& name : difference.live) {
        if (name.starts_with("group.")) touched.insert(name.substr(6));
    }
    control::ComparedGroups groups;
    std::set_difference(after.begin(), after.end(), before.begin(), before.end(),
                        std::back_inserter(groups.added));
    std::set_difference(before.begin(), before.end(), after.begin(), after.end(),
                        std::back_inserter(groups.removed));
    for (const std::string& name : before) {
        if (after.contains(name) && touched.contains(name)) groups.changed.push_back(name);
    }
    return groups;
}

}  // namespace

struct Supervisor::FileRead {
    config::Config config;
    std::vector<std::optional<PreparedProgram>> prepared;  // of each program; none: given away
    std::vector<std::string> problems;

    void read(const std::string& path);  // in another thread
};

void Supervisor::FileRead::read(const std::string& path) {
    auto loaded = config::load_file(path, config::process_environment());
    if (const auto* wrong = std::get_if<std::vector<config::Problem>>(&loaded)) {
        for (const config::Problem& problem : *wrong) problems.push_back(config::describe(problem));
        return;
    }
    config = std::move(std::get<config::Config>(loaded));
    for (const config::Program& program : config.programs) {
        auto made = prepare_program(program.name, program);
        if (made)
            prepared.emplace_back(std::move(*made));
        else
            problems.push_back(made.error().message());
    }
}

// One after the other, each for itself: whoever asks has what the file says from then on.
void Supervisor::read_file(FileDone done) {
    if (settings_.config_path.empty())
        return done(control::ApiError{409, "no_file",
                                      "the configuration came from the command line: there is no "
                                      "file to read again",
                                      ""});
    readers_.push_back(std::move(done));
    if (readers_.size() == 1) begin_reading();
}

void Supervisor::begin_reading() {
    auto file = std::make_shared<FileRead>();
    loop::run_in_pool(
        loop_, [file, path = settings_.config_path] { file->read(path); },
        lifeline_.guard([this, file] { have_read(file); }));
}

void Supervisor::have_read(const std::shared_ptr<FileRead>& file) {
    const FileDone answer = std::move(readers_.front());
    readers_.pop_front();
    if (!readers_.empty()) begin_reading();
    if (settings_.control) file->config.supervisor.control = settings_.control;
    if (file->problems.empty()) return answer(file);
    for (const std::string& problem : file->problems)
        log_.error("reload-refused", {{"reason", problem}});
    answer(control::ApiError{422, "invalid_config", joined(file->problems, "\n"),
                             "nothing was changed"});
}

config::Config Supervisor::running_config() const {
    config::Config config{
        settings_.config.supervisor, settings_.config.redis, {}, settings_.config.groups};
    for (const ProgramId id : order_)
        config.programs.push_back(programs_.as_configured(id, fleet_.program_name(id)));
    return config;
}

std::optional<control::ApiError> Supervisor::refusal(const config::Config& wanted) const {
    if (stage_ != Stage::running) return shutting_down();
    if (registrar_) return std::nullopt;
    for (const config::Program& program : wanted.programs) {
        if (!program.policy.has_registry) continue;
        return control::ApiError{
            409, "needs_restart",
            fmt::format("program.{} has a registry, and muster was started without Redis",
                        program.name),
            "nothing was changed; restart muster"};
    }
    return std::nullopt;
}

void Supervisor::reload(bool dry_run, bool wait, const control::ReloadDone& asked) {
    if (service_manager_ && !dry_run && stage_ == Stage::running) service_manager_->reloading();
    const control::ReloadDone done = [this, dry_run, asked](const auto& outcome) {
        if (service_manager_ && !dry_run && stage_ == Stage::running) service_manager_->ready();
        asked(outcome);
    };
    read_file([this, dry_run, wait, done](auto read) {
        if (const auto* error = std::get_if<control::ApiError>(&read)) return done(*error);
        FileRead& file = *std::get<std::shared_ptr<FileRead>>(read);
        const config::Difference difference = config::compare(running_config(), file.config);
        if (const auto refused = refusal(file.config)) {
            log_.error("reload-refused", {{"reason", refused->message}, {"hint", refused->hint}});
            return done(*refused);
        }
        control::Changes changes = changes_of(difference, dry_run);
        if (dry_run) return done(control::Reloaded{std::move(changes), {}});
        std::vector<std::string> changed;
        for (const config::ProgramChange& each : difference.changed)
            changed.push_back(each.program);
        log_.info("reloaded", {{"added", joined(difference.added, ",")},
                               {"changed", joined(changed, ",")},
                               {"removed", joined(difference.removed, ",")},
                               {"general", joined(difference.live, ",")},
                               {"needs_restart", joined(difference.needs_restart, ",")}});
        apply(difference, file, wait, [changes, done](std::vector<control::VerbOutcome> outcomes) {
            done(control::Reloaded{changes, std::move(outcomes)});
        });
    });
}

// New and changed programs as the file has them; what they run goes on until it is replaced.
std::vector<ProgramId> Supervisor::put(const std::vector<std::string>& programs, FileRead& file) {
    const std::set<std::string> names(programs.begin(), programs.end());
    const std::vector<core::Priority> priorities = config::priorities_of(file.config);
    std::vector<core::ProgramPlan> plans;
    std::uint32_t next_id = fleet_.program_count();
    for (std::size_t i = 0; i < file.config.programs.size(); ++i) {
        const config::Program& program = file.config.programs[i];
        if (!names.contains(program.name)) continue;
        const auto known = fleet_.program_called(program.name);
        const ProgramId id = known ? *known : ProgramId{next_id++};
        if (known) keep_old_settings(id);
        programs_.put(id, program);
        core::ProgramPlan plan{program.name,
                               programs_.policy(id),
                               program.after,
                               program.processes.value_or(1),
                               program.processes.has_value(),
                               priorities[i]};
        if (known && fleet_.is_there(id)) {
            plan.processes = fleet_.plan(id).processes;
            plan.is_numbered = fleet_.plan(id).is_numbered;
        }
        plans.push_back(std::move(plan));
        if (auto& prepared = file.prepared[i])
            lives_.adopt(id, std::move(*std::exchange(prepared, std::nullopt)));
    }
    return fleet_.put(std::move(plans), moment(), actions_);
}

// Whoever lives is released from the registry, and found there, by what it was made of.
void Supervisor::keep_old_settings(ProgramId id) {
    for (const ProcessId process : fleet_.processes_of(id)) {
        ProcessParts& parts = parts_[process.value()];
        if (!parts.made_of && !fleet_.machine(process).is_resting())
            parts.made_of = programs_.shared(id);
    }
}

// What is new or changed, and whoever has another place in the order of start: its group's may have
// changed.
std::vector<std::string> Supervisor::to_be_put(const config::Difference& difference,
                                               const config::Config& wanted) const {
    std::vector<std::string> names = difference.added;
    for (const config::ProgramChange& change : difference.changed) names.push_back(change.program);
    const std::vector<core::Priority> priorities = config::priorities_of(wanted);
    for (std::size_t i = 0; i < priorities.size(); ++i) {
        const std::string& name = wanted.programs[i].name;
        const auto known = fleet_.program_called(name);
        if (known && fleet_.is_there(*known) && fleet_.plan(*known).priority != priorities[i])
            names.push_back(name);
    }
    return names;
}

// Its settings are in place: the number of its processes, and new lives where they need some.
void Supervisor::apply_to(const config::ProgramChange& change,
                          bool wait,
                          const std::shared_ptr<Gathered>& all) {
    const ProgramId id = fleet_.program_called(change.program).value();
    const bool is_numbered = programs_.settings(id).processes.has_value();
    const bool is_replaced = !change.restart.empty() || change.is_renamed;
    if (change.processes && is_replaced)
        resize_now(id, change.processes->second, is_numbered, {}, wait, Gathered::share(all));
    else if (change.processes)
        resize(id, change.processes->second, is_numbered, wait, Gathered::share(all));
    if (change.restart.empty()) return;
    if (queues_) queues_->forget(id);  // its new workers tell theirs
    std::vector<ProcessId> processes = fleet_.processes_of(id);
    std::erase_if(processes, [&](ProcessId process) {
        return fleet_.is_leaving(process) || !parts_[process.value()].made_of;
    });
    if (!processes.empty()) roll(processes, wait, Gathered::share(all));
}

void Supervisor::apply(const config::Difference& difference,
                       FileRead& file,
                       bool wait,
                       const control::VerbDone& done) {
    settings_.config.supervisor.log_level = file.config.supervisor.log_level;
    settings_.config.supervisor.shutdown_timeout = file.config.supervisor.shutdown_timeout;
    settings_.config.groups = file.config.groups;
    log_.set_level(settings_.config.supervisor.log_level);
    std::vector<ProgramId> removed;
    for (const std::string& name : difference.removed)
        removed.push_back(fleet_.program_called(name).value());

    put(to_be_put(difference, file.config), file);
    order_.clear();
    for (std::size_t i = 0; i < file.config.programs.size(); ++i) {
        order_.push_back(fleet_.program_called(file.config.programs[i].name).value());
        // What is in an env_file may have changed where the program has not.
        if (auto& prepared = file.prepared[i]) lives_.adopt(order_.back(), std::move(*prepared));
    }
    note_groups();

    auto all = std::make_shared<Gathered>(done);
    for (const std::string& name : difference.added) {
        const ProgramId id = fleet_.program_called(name).value();
        const core::ProgramPlan& plan = fleet_.plan(id);
        resize_now(id, plan.processes, plan.is_numbered, {}, wait, Gathered::share(all));
    }
    for (const config::ProgramChange& change : difference.changed) apply_to(change, wait, all);
    std::vector<ProcessId> leaving;
    for (const ProgramId id : removed) {
        const auto& processes = fleet_.processes_of(id);
        leaving.insert(leaving.end(), processes.begin(), processes.end());
    }
    if (wait && !leaving.empty())
        waits_.add(control::Verb::stop, leaving, patience_for(leaving), Gathered::share(all));
    fleet_.remove(removed, moment(), actions_);
    if (queues_) {
        for (const ProgramId id : removed) queues_->forget(id);
    }
    drain();
    waits_.recheck();
    if (!wait) Gathered::share(all)(states(leaving));
    last_read_.reset();
    all->close();
}

config::Config Supervisor::last_config() const {
    return last_read_ ? last_read_->config : running_config();
}

void Supervisor::reread(const control::RereadDone& done) {
    read_file([this, done](auto read) {
        if (const auto* error = std::get_if<control::ApiError>(&read)) return done(*error);
        last_read_ = std::get<std::shared_ptr<FileRead>>(read);
        done(compared(running_config(), last_read_->config));
    });
}

std::optional<control::ApiError> Supervisor::add_group(const std::string& group) {
    const control::ApiError unknown{404, "no_such_group",
                                    fmt::format("the file has no group '{}'", group), ""};
    const control::ApiError active{409, "already_added",
                                   fmt::format("the group {} is active", group), ""};
    const std::vector<std::string> here = members(running_config(), group);
    if (!last_read_) return here.empty() ? unknown : active;
    const std::vector<std::string> programs = members(last_read_->config, group);
    if (programs.empty()) return unknown;
    const bool is_active = std::any_of(programs.begin(), programs.end(), [&](const auto& name) {
        const auto known = fleet_.program_called(name);
        return known && fleet_.is_there(*known);
    });
    if (is_active || !here.empty()) return active;
    config::Config reduced = running_config();
    for (const config::Program& program : last_read_->config.programs) {
        if (group_name(last_read_->config, program.name) == group)
            reduced.programs.push_back(program);
    }
    if (auto refused = refusal(reduced)) return refused;
    for (const config::Group& each : last_read_->config.groups) {
        if (each.name == group) settings_.config.groups.push_back(each);
    }
    const std::vector<ProgramId> ids = put(programs, *last_read_);
    order_.insert(order_.end(), ids.begin(), ids.end());
    note_groups();
    for (const ProgramId id : ids) {
        const core::ProgramPlan& plan = fleet_.plan(id);
        resize_now(id, plan.processes, plan.is_numbered, {}, false, [](const auto&) {});
    }
    log_.info("group-added", {{"group", group}});
    return std::nullopt;
}

std::optional<control::ApiError> Supervisor::remove_group(const std::string& group) {
    const config::Config running = running_config();
    const std::vector<std::string> programs = members(running, group);
    if (programs.empty())
        return control::ApiError{404, "no_such_group",
                                 fmt::format("no group is called '{}'", group), ""};
    std::vector<ProgramId> ids;
    for (const std::string& name : programs) {
        ids.push_back(fleet_.program_called(name).value());
        for (const ProcessId process : fleet_.processes_of(ids.back())) {
            if (fleet_.machine(process).is_resting() && fleet_.held_by(process).empty()) continue;
            return control::ApiError{409, "still_running",
                                     fmt::format("{} is {}", parts_[process.value()].id,
                                                 core::state_name(fleet_.machine(process).state())),
                                     "stop the group first"};
        }
    }
    if (!last_read_) {  // what could be added again
        last_read_ = std::make_shared<FileRead>();
        last_read_->config = running;
        last_read_->prepared.resize(running.programs.size());
    }
    std::erase_if(order_,
                  [&](ProgramId id) { return std::find(ids.begin(), ids.end(), id) != ids.end(); });
    std::erase_if(settings_.config.groups,
                  [&](const config::Group& each) { return each.name == group; });
    fleet_.remove(ids, moment(), actions_);
    if (queues_) {
        for (const ProgramId id : ids) queues_->forget(id);
    }
    drain();
    note_groups();
    log_.info("group-removed", {{"group", group}});
    return std::nullopt;
}

}  // namespace muster::daemon
