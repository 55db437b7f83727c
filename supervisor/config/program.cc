// The table [program.NAME].

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "config/cpus.h"
#include "config/program_tables.h"
#include "config/schema.h"

namespace muster::config {

namespace {

using namespace std::chrono_literals;

// Of workers: for the job in hand of one that is replaced or scaled away.
constexpr Duration default_drain = 10min;

template <class Target, class Type>
void keep(Target& target, std::optional<Type> found) {
    if (found) target = std::move(*found);
}

// For a key whose value is one word of a few.
template <auto member, auto& choices>
void read_policy_choice(const Value& value, ProgramDraft& draft) {
    keep(draft.program.policy.*member, value.choice(choices));
}

constexpr Choice<core::Restart> restarts[] = {{"always", core::Restart::always},
                                              {"on-failure", core::Restart::on_failure},
                                              {"never", core::Restart::never}};
constexpr Choice<core::OnFatal> on_fatals[] = {{"exit-when-all", core::OnFatal::exit_when_all},
                                               {"exit", core::OnFatal::exit},
                                               {"stay", core::OnFatal::stay}};
constexpr Choice<core::Orphans> orphan_ways[] = {
    {"kill", core::Orphans::kill}, {"wait", core::Orphans::wait}, {"leave", core::Orphans::leave}};
constexpr Choice<Jobs> job_ways[] = {
    {"hand-back", Jobs::hand_back}, {"leave", Jobs::leave}, {"fail", Jobs::fail}};
void read_jobs(const Value& value, ProgramDraft& draft) {
    draft.has_jobs = true;
    draft.jobs_at = value.position();
    keep(draft.program.jobs, value.choice(job_ways));
}
constexpr Choice<Overflow> overflows[] = {{"wait", Overflow::wait}, {"drop", Overflow::drop}};

void read_processes(const Value& value, ProgramDraft& draft) {
    draft.processes_at = value.position();
    if (value.kind() == Value::Kind::text) {
        const auto word = value.text();
        if (!word) return;
        if (*word == "cpus") {
            draft.program.processes = usable_cpus();
            return;
        }
        if (value.is_from_environment()) {
            keep(draft.program.processes, value.whole<std::uint32_t>(1, 10'000));
            return;
        }
        return value.complain(
            fmt::format("{} is neither a number from 1 to 10000 nor \"cpus\"", value.in_quotes()));
    }
    keep(draft.program.processes, value.whole<std::uint32_t>(1, 10'000));
}

void read_name(const Value& value, ProgramDraft& draft) {
    auto name = value.filled_text(Field::worker_name);
    if (!name) return;
    if (name->empty() || name->size() > 256)
        return value.complain("a worker's name is made of 1 to 256 characters");
    draft.program.name_template = std::move(*name);
}

template <std::string ProgramSettings::*member>
void read_text(const Value& value, ProgramDraft& draft) {
    auto found = value.text();
    if (found && found->empty()) return value.complain("is empty; leave the key out instead");
    keep(draft.program.*member, std::move(found));
}

// "app" or 1000.
template <std::string ProgramSettings::*member>
void read_account(const Value& value, ProgramDraft& draft) {
    if (value.kind() != Value::Kind::integer) return read_text<member>(value, draft);
    if (const auto id = value.integer(0, UINT32_MAX - 1))
        draft.program.*member = std::to_string(*id);
}

void read_directory(const Value& value, ProgramDraft& draft) {
    auto found = value.filled_text(Field::other);
    if (found && found->empty()) return value.complain("is empty; leave the key out instead");
    keep(draft.program.directory, std::move(found));
}

void read_environment(const Value& value, ProgramDraft& draft) {
    static constexpr std::string_view ours[] = {
        "MUSTER_WORKER_NAME", "MUSTER_PROGRAM", "MUSTER_PROCESS",    "MUSTER_INDEX",
        "MUSTER_INSTANCE",    "MUSTER_CONTROL", "MUSTER_INCARNATION"};
    value.each_entry([&](const Value& entry) {
        const std::string name(entry.key());
        if (name.empty() || name.find_first_of(std::string_view{"=\0\1", 3}) != std::string::npos)
            return entry.complain_of_key("is no name of an environment variable");
        if (std::find(std::begin(ours), std::end(ours), name) != std::end(ours))
            return entry.complain_of_key("is set by muster itself");
        if (entry.kind() == Value::Kind::integer) {
            if (const auto number = entry.integer(INT64_MIN, INT64_MAX))
                draft.program.environment[name] = std::to_string(*number);
            return;
        }
        if (auto text = entry.filled_text(Field::environment))
            draft.program.environment[name] = std::move(*text);
    });
}

void read_umask(const Value& value, ProgramDraft& draft) {
    if (value.kind() != Value::Kind::text)
        return value.complain("must be a string of octal digits, as \"022\"");
    const auto text = value.text();
    if (!text) return;
    std::uint32_t mask = 0;
    const auto* end = text->data() + text->size();
    const auto [rest, code] = std::from_chars(text->data(), end, mask, 8);
    if (code != std::errc{} || rest != end || mask > 0777)
        return value.complain(
            fmt::format("{} is no umask from \"000\" to \"777\"", value.in_quotes()));
    draft.program.umask = mask;
}

void read_after_item(const Value& item, ProgramDraft& draft) {
    const auto text = item.text();
    if (!text) return;
    const auto colon = std::min(text->find(':'), text->size());
    core::Dependency dependency{text->substr(0, colon)};
    if (colon < text->size()) {
        const std::string word = text->substr(colon + 1);
        static constexpr std::string_view words[] = {"started", "ready", "succeeded"};
        const auto* found = std::find(std::begin(words), std::end(words), word);
        if (found == std::end(words))
            return item.complain(
                fmt::format("{}: after the colon stands started, ready or succeeded{}",
                            item.in_quotes(), suggestion(word, words)));
        dependency.condition = static_cast<core::Condition>(found - std::begin(words));
    }
    const auto& others = draft.program.after;
    if (std::any_of(others.begin(), others.end(),
                    [&](const core::Dependency& d) { return d.program == dependency.program; }))
        return item.complain(fmt::format("{} is there twice", item.in_quotes()));
    draft.program.after.push_back(std::move(dependency));
    draft.after_at.push_back(item.position());
}

void read_after(const Value& value, ProgramDraft& draft) {
    if (value.kind() == Value::Kind::text) return read_after_item(value, draft);
    value.each_item([&](const Value& item) { read_after_item(item, draft); });
}

void read_exit_codes(const Value& value, ProgramDraft& draft) {
    std::vector<int> codes;
    value.each_item([&](const Value& item) {
        if (const auto code = item.whole<int>(0, 255)) codes.push_back(*code);
    });
    draft.program.policy.exit_codes = std::move(codes);
}

bool is_output_path(std::string_view text) {
    return text.find('/') != text.npos || text.find('.') != text.npos;
}

// A reader of /dev/stdout by path gets another file description, or none (a socket): what is
// inherited needs no name.
bool is_our_own_stream(std::string_view path) {
    return path == "/dev/stdout" || path == "/dev/stderr" || path.starts_with("/dev/fd/") ||
           path.starts_with("/proc/self/fd/") || path == "/dev/tty";
}

template <Output ProgramSettings::*member, Position ProgramDraft::*at>
void read_output(const Value& value, ProgramDraft& draft) {
    static constexpr std::string_view words[] = {"forward", "inherit", "null"};
    static constexpr OutputKind kinds[] = {OutputKind::forward, OutputKind::inherit,
                                           OutputKind::null};
    auto text = value.filled_text(Field::other);
    if (!text) return;
    draft.*at = value.position();
    if (at == &ProgramDraft::stdout_at) draft.given_stdout_at = value.position();
    const auto* found = std::find(std::begin(words), std::end(words), *text);
    if (found != std::end(words)) {
        draft.program.*member = Output{kinds[found - std::begin(words)], {}};
    } else if (*text == "/dev/null") {
        draft.program.*member = Output{OutputKind::null, {}};
    } else if (is_our_own_stream(*text)) {
        value.complain(fmt::format("{} cannot be opened by path; write \"inherit\" or \"forward\"",
                                   value.in_quotes()));
    } else if (!is_output_path(*text)) {
        value.complain(
            fmt::format("{} is neither forward, inherit, null nor a path (a file here: "
                        "./NAME){}",
                        value.in_quotes(), suggestion(*text, words)));
    } else {
        draft.program.*member = Output{OutputKind::file, std::move(*text)};
    }
}

// "stdout": into the same stream, so that the order between the two is kept.
void read_stderr(const Value& value, ProgramDraft& draft) {
    if (value.kind() == Value::Kind::text) {
        const auto text = value.text();
        if (text && *text == "stdout") {
            draft.program.stderr_to = Output{OutputKind::as_stdout, {}};
            return;
        }
    }
    read_output<&ProgramSettings::stderr_to, &ProgramDraft::stderr_at>(value, draft);
}

void read_start_timeout(const Value& value, ProgramDraft& draft) {
    const auto length = value.duration();
    if (length && *length <= 0s) return value.complain("must be longer than 0");
    keep(draft.program.policy.start_timeout, length);
}

void read_max_age(const Value& value, ProgramDraft& draft) {
    const auto length = value.duration();
    if (length && *length < 1s) return value.complain("must be 1s or longer");
    if (length) draft.program.policy.max_age = *length;
}

template <std::uint64_t Memory::*member>
void read_memory_size(const Value& value, Memory& memory) {
    const auto size = value.size();
    if (size && *size < (1U << 20U)) return value.complain("must be 1MiB or more");
    keep(memory.*member, size);
}

void read_memory(const Value& value, ProgramDraft& draft) {
    static constexpr Key<Memory> sizes[] = {{"soft", read_memory_size<&Memory::soft>},
                                            {"hard", read_memory_size<&Memory::hard>}};
    static constexpr OtherName names[] = {{"max", "hard"}, {"limit", "hard"}, {"warn", "soft"}};
    Memory& memory = draft.program.memory;
    read_table<Memory>(value, memory, sizes, names);
    if (memory.soft > 0 && memory.hard > 0 && memory.soft >= memory.hard)
        value.complain("soft must be less than hard");
}

constexpr Key<ProgramDraft> keys[] = {
    {"command", [](const Value& v, ProgramDraft& d) { keep(d.program.command, v.command()); }},
    {"registry",
     [](const Value& v, ProgramDraft& d) { keep(d.program.registry, v.choice(registries)); }},
    {"processes", read_processes},
    {"name", read_name},
    {"directory", read_directory},
    {"user", read_account<&ProgramSettings::user>},
    {"group", read_account<&ProgramSettings::group>},
    {"environment", read_environment},
    {"env_file", read_text<&ProgramSettings::env_file>},
    {"umask", read_umask},
    {"limits", read_limits},
    {"autostart",
     [](const Value& v, ProgramDraft& d) { keep(d.program.policy.autostart, v.boolean()); }},
    {"after", read_after},
    {"priority",
     [](const Value& v, ProgramDraft& d) {
         d.has_priority = true;
         keep(d.program.priority, read_priority(v));
     }},
    {"restart", read_policy_choice<&core::Policy::restart, restarts>},
    {"exit_codes", read_exit_codes},
    {"ready", read_ready},
    {"start_timeout", read_start_timeout},
    {"backoff", read_backoff},
    {"start_limit",
     [](const Value& v, ProgramDraft& d) {
         keep(d.program.policy.start_limit, v.whole<std::uint32_t>(0, 1'000'000));
     }},
    {"on_fatal", read_policy_choice<&core::Policy::on_fatal, on_fatals>},
    {"essential",
     [](const Value& v, ProgramDraft& d) {
         d.has_essential = true;
         keep(d.program.policy.essential, v.boolean());
     }},
    {"stop", read_stop},
    {"orphans", read_policy_choice<&core::Policy::orphans, orphan_ways>},
    {"jobs", read_jobs},
    {"custom", read_custom},
    {"stdout", read_output<&ProgramSettings::stdout_to, &ProgramDraft::stdout_at>},
    {"stderr", read_stderr},
    {"log_rotate", read_log_rotate},
    {"overflow",
     [](const Value& v, ProgramDraft& d) { keep(d.program.overflow, v.choice(overflows)); }},
    {"poison", read_poison},
    {"listener", read_listener},
    {"singleton", nullptr},
    {"drain",
     [](const Value& v, ProgramDraft& d) {
         d.has_drain = true;
         keep(d.program.policy.drain, v.duration());
     }},
    {"memory", read_memory},
    {"max_age", read_max_age},
    {"health", read_health},
    {"autoscale", read_autoscale},
};

constexpr OtherName others[] = {
    {"startsecs", "start_timeout, or ready = { after = \"1s\" }"},
    {"start_secs", "start_timeout, or ready = { after = \"1s\" }"},
    {"startretries", "start_limit"},
    {"numprocs", "processes"},
    {"numprocs_start", "processes"},
    {"process_name", "name"},
    {"autorestart", "restart"},
    {"exitcodes", "exit_codes"},
    {"stopsignal", "stop = [\"TERM 25s\", \"KILL\"]"},
    {"stopwaitsecs", "stop = [\"TERM 25s\", \"KILL\"]"},
    {"stopasgroup", "orphans"},
    {"killasgroup", "orphans"},
    {"stdout_logfile", "stdout"},
    {"stderr_logfile", "stderr"},
    {"redirect_stderr", "stderr = \"stdout\""},
    {"stdout_logfile_maxbytes", "log_rotate"},
    {"stderr_logfile_maxbytes", "log_rotate"},
    {"stdout_logfile_backups", "log_rotate"},
    {"stderr_logfile_backups", "log_rotate"},
    {"events", "listener.events"},
    {"buffer_size", "listener.buffer"},
    {"minfds", "limits.nofile"},
    {"minprocs", "limits.nproc"},
    // systemd's, Docker's, and what one tries first.
    {"ExecStart", "command"},
    {"cmd", "command"},
    {"exec", "command"},
    {"entrypoint", "command"},
    {"args", "command"},
    {"Restart", "restart"},
    {"RestartSec", "backoff"},
    {"StartLimitBurst", "start_limit"},
    {"retries", "start_limit"},
    {"TimeoutStartSec", "start_timeout"},
    {"TimeoutStopSec", "stop = [\"TERM 25s\", \"KILL\"]"},
    {"KillSignal", "stop = [\"TERM 25s\", \"KILL\"]"},
    {"stop_signal", "stop = [\"TERM 25s\", \"KILL\"]"},
    {"stop_timeout", "stop = [\"TERM 25s\", \"KILL\"]"},
    {"stop_grace_period", "stop = [\"TERM 25s\", \"KILL\"]"},
    {"User", "user"},
    {"Group", "group"},
    {"WorkingDirectory", "directory"},
    {"working_dir", "directory"},
    {"workdir", "directory"},
    {"cwd", "directory"},
    {"Environment", "environment"},
    {"env", "environment"},
    {"EnvironmentFile", "env_file"},
    {"UMask", "umask"},
    {"After", "after"},
    {"depends_on", "after"},
    {"depends", "after"},
    {"requires", "after"},
    {"instances", "processes"},
    {"replicas", "processes"},
    {"concurrency", "processes"},
    {"count", "processes"},
    {"worker_name", "name"},
    {"nice", "limits.nice"},
    {"oom_score_adj", "limits.oom_score_adj"},
    {"nofile", "limits.nofile"},
    {"ulimits", "limits"},
    {"log", "stdout"},
    {"stdout_log", "stdout"},
};

bool is_unique_by_itself(std::string_view name_template) {
    return has_placeholder(name_template, "rand") || has_placeholder(name_template, "uuid");
}

bool differs_by_process(std::string_view name_template) {
    for (const std::string_view part : {"rand", "uuid", "pid", "process", "index"}) {
        if (has_placeholder(name_template, part)) return true;
    }
    return false;
}

// The file is opened before the spawn, when nobody knows the pid.
void check_log_path(const Program& program,
                    std::string_view key,
                    const Output& output,
                    Position at,
                    Reading& reading) {
    if (output.kind != OutputKind::file || !has_placeholder(output.path, "name") ||
        !has_placeholder(program.name_template, "pid"))
        return;
    reading.complain(at,
                     fmt::format("program.{}.{}: a log path cannot hold a {{name}} that is made "
                                 "of {{pid}}; write {{process}}, or a name without {{pid}}",
                                 program.name, key));
}

// As supervisord has it: listeners start first and stop last. And they end nothing.
void complete_listener(ProgramDraft& draft, Reading& reading) {
    Program& program = draft.program;
    if (!draft.has_priority) program.priority = 0;
    if (!draft.has_essential) program.policy.essential = false;
    const auto wrong = [&](Position at, std::string_view what) {
        reading.complain(at, fmt::format("program.{}.{}", program.name, what));
    };
    if (program.registry != RegistryKind::none)
        wrong(draft.listener_at, "listener: a worker with a registry is no event listener");
    if (draft.given_stdout_at)
        wrong(*draft.given_stdout_at,
              "stdout: a listener's stdout is where it answers; leave the key out");
    if (program.stderr_to.kind == OutputKind::as_stdout)
        wrong(draft.listener_at,
              "stderr: a listener's stdout is where it answers, its stderr must go elsewhere");
}

// Its first size is the least one.
void complete_autoscale(ProgramDraft& draft, Reading& reading) {
    Program& program = draft.program;
    const auto wrong = [&](Position at, std::string_view what) {
        reading.complain(at, fmt::format("program.{}.{}", program.name, what));
    };
    if (draft.processes_at)
        wrong(*draft.processes_at,
              "processes: the program has autoscale, which says how many; leave one of them out");
    if (core::traits(program.registry).queue_keys.empty())
        wrong(draft.autoscale_at,
              "autoscale: needs a registry whose queues are known: rq, sidekiq, resque, dramatiq, "
              "celery or bullmq");
    program.processes = program.autoscale->min;
}

}  // namespace

void read_program(const Value& value, ProgramDraft& draft) {
    read_table<ProgramDraft>(value, draft, keys, others);
    // A command that is there and wrong has been told already.
    if (value.kind() == Value::Kind::table && !value.has("command"))
        value.complain_of_key("has no command");
}

void complete_program(ProgramDraft& draft, Reading& reading) {
    Program& program = draft.program;
    core::Policy& policy = program.policy;
    policy.has_registry = program.registry != RegistryKind::none;
    if (policy.has_registry && !draft.has_drain) policy.drain = default_drain;
    complete_job_system(draft, reading);
    if (program.listener) complete_listener(draft, reading);
    if (program.autoscale) complete_autoscale(draft, reading);
    if (policy.has_registry && program.most_processes() > 1 &&
        !differs_by_process(program.name_template))
        reading.complain(
            draft.name_at,
            fmt::format("program.{}.name: is the same for all {} processes; add {{rand}} "
                        "or {{process}}",
                        program.name, program.most_processes()));
    if (policy.has_registry && has_placeholder(program.name_template, "pid") &&
        !is_unique_by_itself(program.name_template))
        reading.complain(
            draft.name_at,
            fmt::format(
                "program.{}.name: a name that is not unique by itself is claimed before the "
                "spawn, when nobody knows the {{pid}}; add {{rand}}, or leave {{pid}} out",
                program.name));
    check_log_path(program, "stdout", program.stdout_to, draft.stdout_at, reading);
    check_log_path(program, "stderr", program.stderr_to, draft.stderr_at, reading);
    if (draft.health_registry_at && !policy.has_registry)
        reading.complain(*draft.health_registry_at,
                         fmt::format("program.{}.health.registry: needs a registry; write registry "
                                     "= \"rq\", or leave it out",
                                     program.name));
    policy.claims_name = policy.has_registry && !is_unique_by_itself(program.name_template);
    const auto* after = std::get_if<ReadyAfter>(&program.ready);
    policy.ready_after = after == nullptr ? std::nullopt : std::optional<Duration>(after->delay);
    program.command.shrink_to_fit();
    policy.stop.shrink_to_fit();
    program.limits.shrink_to_fit();
}

}  // namespace muster::config
