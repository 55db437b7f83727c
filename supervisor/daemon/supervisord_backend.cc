// What supervisord's protocol needs beside the verbs that every protocol has.

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <unordered_map>
#include <unordered_set>

#include "base/text.h"
#include "daemon/supervisor.h"

namespace muster::daemon {

namespace {

// As a shell would take it.
std::string one_line(const std::vector<std::string>& words) {
    constexpr std::string_view plain =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_@%+=:,./{}-";
    std::string line;
    for (const std::string& word : words) {
        if (!line.empty()) line += ' ';
        if (!word.empty() && word.find_first_not_of(plain) == std::string::npos) {
            line += word;
            continue;
        }
        line += '\'';
        for (const char c : word) {
            if (c == '\'')
                line += "'\\''";
            else
                line += c;
        }
        line += '\'';
    }
    return line;
}

std::int64_t whole_seconds(Duration time) {
    return std::chrono::ceil<std::chrono::seconds>(time).count();
}

control::ConfigView::Stream stream_of(const config::Output& output) {
    const bool is_file = output.kind == config::OutputKind::file;
    return {is_file ? std::string_view(output.path) : std::string_view(),
            !is_file && output.kind != config::OutputKind::forward};
}

control::ConfigView view_of(const config::Program& program, const core::Priority& priority) {
    control::ConfigView view;
    view.program = program.name;
    view.command = one_line(program.command);
    view.directory = program.directory;
    view.autostart = program.policy.autostart;
    view.redirects_stderr = program.stderr_to.kind == config::OutputKind::as_stdout;
    view.kills_as_group = program.policy.orphans == core::Orphans::kill;
    view.group_priority = priority.group;
    view.priority = priority.own;
    // Tries after the first, there.
    view.start_retries =
        program.policy.start_limit > 0 ? program.policy.start_limit - 1 : std::uint32_t{INT32_MAX};
    view.start_secs = whole_seconds(program.policy.ready_after.value_or(Duration{}));
    view.stop_signal = program.policy.stop.front().signal.value();
    view.stop_wait_secs = whole_seconds(program.policy.stop.front().wait);
    view.exit_codes = &program.policy.exit_codes;
    view.rotate_size = program.log_rotate.size;
    view.rotate_keep = program.log_rotate.keep;
    view.out = stream_of(program.stdout_to);
    view.err = stream_of(program.stderr_to);
    return view;
}

}  // namespace

control::SupervisordBackend Supervisor::supervisord_backend() {
    return {
        .launchable = [this](const std::string& id) { return launchable(id); },
        .logs = {.read = [this](const control::LogName& name, const control::ChooseLogSlice& choose,
                                const control::LogRead& done) { read_log(name, choose, done); },
                 .clear = [this](const std::string& process,
                                 const auto& done) { clear_logs(process, done); },
                 .follow = [this](const control::LogName& name) { return follow_log(name); }},
        .restart = [this](const auto& done) { restart(done); },
        .each_config = [this](const auto& visit) { each_config(visit); },
        .remote_event =
            [this](const std::string& type, const std::string& data) {
                listeners_.tell(core::Notice::remote_communication, "type:" + type + "\n" + data);
            },
    };
}

// As supervisord looks before it looks at the state (its options.py, get_execv_args).
std::optional<control::Fault> Supervisor::launchable(const std::string& id) const {
    const auto found = std::find_if(parts_.begin(), parts_.end(),
                                    [&](const ProcessParts& parts) { return parts.id == id; });
    if (found == parts_.end()) return std::nullopt;
    const ProcessId process{static_cast<std::uint32_t>(found - parts_.begin())};
    const std::string& command = programs_.command(fleet_.program_of(process)).front();
    std::vector<std::string> places{command};
    if (command.find('/') == std::string::npos) {
        places.clear();
        const char* path = std::getenv("PATH");
        for (const std::string& folder : split(path == nullptr ? "/bin:/usr/bin" : path, ':'))
            places.push_back((folder.empty() ? "." : folder) + "/" + command);
    }
    for (const std::string& place : places) {
        struct stat status {};
        if (::stat(place.c_str(), &status) != 0) continue;
        if (S_ISDIR(status.st_mode))
            return control::Fault{
                21, fmt::format("NOT_EXECUTABLE: command at '{}' is a directory", place)};
        if ((status.st_mode & 0111) == 0)
            return control::Fault{
                21, fmt::format("NOT_EXECUTABLE: command at '{}' is not executable", place)};
        if (::access(place.c_str(), X_OK) != 0)
            return control::Fault{
                21, fmt::format("NOT_EXECUTABLE: no permission to run command '{}'", place)};
        return std::nullopt;
    }
    return control::Fault{20, fmt::format("NO_FILE: can't find command '{}'", command)};
}

// One for each process of what was read last.
void Supervisor::each_config(const std::function<void(const control::ConfigView&)>& visit) const {
    const config::Config config = last_config();
    const std::vector<core::Priority> priorities = config::priorities_of(config);
    std::unordered_map<std::string_view, std::string_view> groups;
    for (const config::Group& group : config.groups) {
        for (const std::string& program : group.programs) groups.emplace(program, group.name);
    }
    for (std::size_t i = 0; i < config.programs.size(); ++i) {
        const config::Program& program = config.programs[i];
        control::ConfigView view = view_of(program, priorities[i]);
        if (const auto group = groups.find(program.name); group != groups.end())
            view.group = group->second;
        const auto active = fleet_.program_called(program.name);
        view.is_active = active && fleet_.is_there(*active);
        if (!program.user.empty() && view.is_active) view.uid = lives_.uid_of(*active);
        for (std::uint32_t index = 0; index < program.processes.value_or(1); ++index) {
            view.id =
                program.processes ? fmt::format("{}_{:02}", program.name, index) : program.name;
            visit(view);
        }
    }
}

// A file that `check` refuses is never started with: the running one goes on (I10).
void Supervisor::restart(const std::function<void(std::optional<control::Fault>)>& done) {
    const auto go = [this, done] {
        if (stage_ != Stage::running)  // the file was read meanwhile: an end stays an end
            return done(control::make_fault(control::fault::shutdown_state, "SHUTDOWN_STATE"));
        done(std::nullopt);
        begin_shutdown(false, "a restart was asked for");
        restarts_ = true;
    };
    if (settings_.config_path.empty()) return go();
    read_file([go, done](auto read) {
        if (const auto* error = std::get_if<control::ApiError>(&read))
            return done(
                control::make_fault(control::fault::cant_reread, "CANT_REREAD", error->message));
        go();
    });
}

}  // namespace muster::daemon
