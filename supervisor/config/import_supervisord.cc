// supervisord.conf → TOML. Every key of supervisord 4.2.5 is in one of the tables below: said in
// ours, not needed here, or listed as left out with the reason.

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "base/text.h"
#include "config/expand.h"
#include "config/import.h"
#include "config/ini.h"
#include "config/supervisord_values.h"
#include "config/toml_text.h"
#include "core/notices.h"

namespace muster::config {

namespace {

constexpr std::size_t most_files = 256;

struct Where {
    const Source* source;
    const IniSection* section;
};

class Importer {
public:
    explicit Importer(const Includes& includes) : includes_(includes) {}
    Result<Imported> run(const Source& source);

private:
    std::optional<Error> read(const Source& source);
    std::optional<Error> read_includes(const Source& source, const IniSection& section);
    void section(const Where& where);
    void supervisord(const Where& where);
    void unix_server(const Where& where);
    void inet_server(const Where& where);
    void group(const Where& where);
    void program(const Where& where, std::string_view kind);
    void listener(const Where& where, std::string& out);
    void program_keys(const Where& where, const std::string& name, std::string& out);
    void names(const Where& where, std::string& out);
    void ending(const Where& where, std::string& out);
    void starting(const Where& where, std::string& out);
    void output(const Where& where, std::string_view stream, std::string& out);
    void environment(const Where& where, std::string& out);
    void tell_ignored(const Where& where, const std::set<std::string_view>& known);

    void leave_out(const Where& where, int line, std::string_view what) {
        left_out_.push_back(
            fmt::format("{}:{}: [{}] {}", where.source->path, line, where.section->name, what));
    }
    void leave_out(const Where& where, const IniEntry& entry, std::string_view why) {
        leave_out(where, entry.line, fmt::format("{}: {}", entry.key, why));
    }
    // In ours: %(…)s filled or said by a placeholder, what means something here escaped.
    std::string text_of(const Where& where, const IniEntry& entry);
    std::string expand_one(const Where& where,
                           const IniEntry& entry,
                           std::string_view name,
                           std::string_view format);
    // `ours` with the entry's number for its {}.
    void number_line(const Where& where,
                     std::string& out,
                     const IniEntry& entry,
                     std::string_view ours) {
        if (const auto value = number(trimmed(entry.value)))
            line(out, &entry, fmt::format(fmt::runtime(ours), *value));
        else
            leave_out(where, entry, "is no number");
    }
    void line(std::string& out, const IniEntry* entry, std::string_view ours) {
        if (entry != nullptr) out += toml_comment(entry->comments);
        out += ours;
        out += '\n';
    }

    const Includes& includes_;
    std::vector<std::string> left_out_;
    std::vector<std::pair<std::string, std::string>> shared_environment_;  // [supervisord]'s
    std::vector<std::unique_ptr<Source>> sources_;
    std::vector<std::unique_ptr<IniFile>> files_;
    std::set<std::string> seen_sections_;
    std::set<std::string> seen_programs_;
    std::string supervisor_;
    std::string programs_;
    std::string groups_;
    std::vector<std::string> head_;
    [[nodiscard]] Braces braces() const {
        return in_program_ ? Braces::in_template : Braces::plain;
    }

    bool in_program_ = false;  // {…} placeholders stand for what they are only there
};

bool is_listener(const IniSection& section) {
    return section.name.starts_with("eventlistener:");
}

// Its events that are sent here.
std::vector<std::string> events_of(const IniSection& section) {
    std::vector<std::string> events;
    const IniEntry* entry = section.find("events");
    if (entry == nullptr) return events;
    for (const std::string& name : list(entry->value)) {
        if (!core::notices_called(name).is_empty()) events.push_back(name);
    }
    return events;
}

std::string Importer::expand_one(const Where& where,
                                 const IniEntry& entry,
                                 std::string_view name,
                                 std::string_view format) {
    if (name == "here") return as_written(where.source->here, braces());
    if (name.starts_with("ENV_")) return fmt::format("${{{}}}", name.substr(4));
    if (name == "host_node_name" && in_program_) return "{host}";
    if (name == "program_name" && in_program_) return "{program}";
    if (name == "group_name" && in_program_) {
        leave_out(where, entry, "%(group_name)s is written as the program's name");
        return "{program}";
    }
    if (name == "process_num" && in_program_) {
        if (format != "d" && format != "s")
            leave_out(where, entry,
                      fmt::format("%(process_num){} is written without leading zeros", format));
        return "{index}";
    }
    if (name == "numprocs") {
        const IniEntry* numprocs = where.section->find("numprocs");
        return numprocs == nullptr ? "1" : numprocs->value;
    }
    leave_out(where, entry, fmt::format("%({}){} has nothing that it means here", name, format));
    return as_written(fmt::format("%({}){}", name, format), braces());
}

std::string Importer::text_of(const Where& where, const IniEntry& entry) {
    std::string text = entry.value;
    std::replace(text.begin(), text.end(), '\n', ' ');
    // A process's id is made like this here.
    static constexpr std::string_view id = "%(program_name)s_%(process_num)02d";
    std::string out;
    for (std::size_t i = 0; i < text.size();) {
        const std::string_view rest = std::string_view(text).substr(i);
        if (in_program_ && rest.starts_with(id) && where.section->find("numprocs") != nullptr) {
            out += "{process}";
            i += id.size();
        } else if (rest.starts_with("%%")) {
            out += '%';
            i += 2;
        } else if (rest.starts_with("%(")) {
            const auto end = rest.find(')');
            auto stop = end == std::string_view::npos ? end : rest.find_first_of("sd", end);
            if (stop == std::string_view::npos) {
                leave_out(where, entry, "a %( without its end");
                out += as_written(rest, braces());
                break;
            }
            out +=
                expand_one(where, entry, rest.substr(2, end - 2), rest.substr(end + 1, stop - end));
            i += stop + 1;
        } else {
            const auto next = std::min(rest.find('%', 1), rest.size());
            out += as_written(rest.substr(0, next), braces());
            i += next;
        }
    }
    return out;
}

void Importer::tell_ignored(const Where& where, const std::set<std::string_view>& known) {
    for (const IniEntry& entry : where.section->entries) {
        if (!known.contains(entry.key))
            leave_out(where, entry, "unknown to supervisord 4.2.5, and here");
    }
}

// ── the supervisor itself ──────────────────────────────────────────────────────────────────────

void Importer::supervisord(const Where& where) {
    static constexpr std::pair<std::string_view, std::string_view> not_ours[] = {
        {"logfile", "muster's own lines go to stdout, as a container expects"},
        {"umask", "umask is a program's key here"},
        {"user", "start muster as that user, or give each program its user"},
        {"directory", "directory is a program's key here"},
        {"strip_ansi", "output is passed on as it is"},
        {"minprocs", "limits are a program's key here: limits = { nproc = … }"},
        {"pidfile", "no pid file is written: a control socket tells who lives"},
    };
    supervisor_ += toml_comment(where.section->comments);
    if (const IniEntry* entry = where.section->find("identifier"))
        line(supervisor_, entry, "service = " + toml_string(text_of(where, *entry)));
    if (const IniEntry* entry = where.section->find("loglevel")) {
        static const std::map<std::string, std::string_view> levels{
            {"critical", "error"}, {"error", "error"}, {"warn", "warn"},    {"info", "info"},
            {"debug", "debug"},    {"trace", "debug"}, {"blather", "debug"}};
        const auto found = levels.find(entry->value);
        line(supervisor_, entry,
             fmt::format("log = {{ level = \"{}\" }}",
                         found == levels.end() ? "info" : found->second));
    }
    if (const IniEntry* entry = where.section->find("environment")) {
        if (auto pairs = environment_of(text_of(where, *entry)))
            shared_environment_ = std::move(*pairs);
        else
            leave_out(where, *entry, "is not KEY=\"value\",…");
    }
    for (const auto& [key, why] : not_ours) {
        if (const IniEntry* entry = where.section->find(key)) leave_out(where, *entry, why);
    }
    tell_ignored(where,
                 {"logfile", "logfile_maxbytes", "logfile_backups", "loglevel", "pidfile", "umask",
                  "nodaemon", "silent", "minfds", "minprocs", "nocleanup", "childlogdir", "user",
                  "directory", "strip_ansi", "environment", "identifier"});
}

void Importer::unix_server(const Where& where) {
    if (const IniEntry* entry = where.section->find("file"))
        line(supervisor_, entry, "control = " + toml_string(text_of(where, *entry)));
    for (const std::string_view key : {"chmod", "chown", "username", "password"}) {
        if (const IniEntry* entry = where.section->find(key))
            leave_out(where, *entry, "the control socket is 0600 in a folder of 0700");
    }
    tell_ignored(where, {"file", "chmod", "chown", "username", "password"});
}

void Importer::inet_server(const Where& where) {
    const IniEntry* port = where.section->find("port");
    const IniEntry* password = where.section->find("password");
    const bool is_local = port != nullptr && (port->value.starts_with("127.0.0.1:") ||
                                              port->value.starts_with("localhost:"));
    if (is_local && password == nullptr)
        line(supervisor_, port, "http = " + toml_string(text_of(where, *port)));
    else if (port != nullptr)
        leave_out(where, *port,
                  "write the password into a file, and into [supervisor] http = \"ADDRESS:PORT\" "
                  "and http_token_file = \"PATH\"; clients may send any user name with it");
    tell_ignored(where, {"port", "username", "password"});
}

void Importer::group(const Where& where) {
    const std::string name = where.section->name.substr(6);
    groups_ += "\n" + toml_comment(where.section->comments) + "[group." + toml_key(name) + "]\n";
    if (const IniEntry* entry = where.section->find("programs"))
        line(groups_, entry, "programs = " + toml_array(list(text_of(where, *entry))));
    if (const IniEntry* entry = where.section->find("priority"))
        number_line(where, groups_, *entry, "priority = {}");
    tell_ignored(where, {"programs", "priority"});
}

// ── programs ───────────────────────────────────────────────────────────────────────────────────

void Importer::names(const Where& where, std::string& out) {
    const IniEntry* numprocs = where.section->find("numprocs");
    const long count = numprocs == nullptr ? 1 : number(numprocs->value).value_or(0);
    if (numprocs != nullptr && count < 1) {
        leave_out(where, *numprocs, "is no number of processes");
    } else if (count > 1) {
        line(out, numprocs, fmt::format("processes = {}", count));
        const IniEntry* pattern = where.section->find("process_name");
        if (pattern != nullptr && pattern->value != "%(program_name)s_%(process_num)02d")
            leave_out(where, *pattern, "processes are called NAME_00, NAME_01, … here");
    }
    const IniEntry* first = where.section->find("numprocs_start");
    if (first != nullptr && first->value != "0")
        leave_out(where, *first, "processes are counted from 0 here");
}

void Importer::starting(const Where& where, std::string& out) {
    const IniSection& section = *where.section;
    if (const IniEntry* entry = section.find("autostart"); entry && !is_true(entry->value))
        line(out, entry, "autostart = false");
    if (const IniEntry* entry = section.find("startsecs"))
        number_line(where, out, *entry, "ready = {{ after = \"{}s\" }}");
    const IniEntry* retries = section.find("startretries");
    const long tries = retries == nullptr ? 3 : number(retries->value).value_or(3);
    line(out, retries, fmt::format("start_limit = {}", tries + 1));
    const std::string_view usual = is_listener(section) ? "-1" : "999";
    if (const IniEntry* entry = section.find("priority"); entry && entry->value != usual)
        number_line(where, out, *entry, "priority = {}");
}

void Importer::ending(const Where& where, std::string& out) {
    const IniSection& section = *where.section;
    const IniEntry* restart = section.find("autorestart");
    const std::string how = restart == nullptr || restart->value == "unexpected" ? "on-failure"
                            : is_true(restart->value)                            ? "always"
                                                                                 : "never";
    line(out, restart, fmt::format("restart = \"{}\"", how));
    if (const IniEntry* entry = section.find("exitcodes")) {
        const auto codes = list(entry->value);
        if (std::all_of(codes.begin(), codes.end(),
                        [](const std::string& code) { return number(code).has_value(); }))
            line(out, entry, fmt::format("exit_codes = [{}]", joined(as_toml(codes), ", ")));
        else
            leave_out(where, *entry, "are no numbers");
    }
    line(out, nullptr, "on_fatal = \"stay\"");
    const IniEntry* signal = section.find("stopsignal");
    const IniEntry* wait = section.find("stopwaitsecs");
    if (signal != nullptr && wait != nullptr) out += toml_comment(signal->comments);
    const std::string first =
        fmt::format("{} {}s", signal == nullptr ? "TERM" : trimmed(signal->value),
                    wait == nullptr ? "10" : trimmed(wait->value));
    line(out, wait != nullptr ? wait : signal,
         fmt::format("stop = [{}, \"KILL\"]", toml_string(first)));
    if (const IniEntry* entry = section.find("stopasgroup"); entry && is_true(entry->value))
        leave_out(where, *entry,
                  "the stop signal goes to the process alone; what it leaves behind is ended after "
                  "it (orphans)");
}

void Importer::output(const Where& where, std::string_view stream, std::string& out) {
    const IniSection& section = *where.section;
    const auto key = [&](std::string_view rest) { return fmt::format("{}{}", stream, rest); };
    for (const char* rest : {"_capture_maxbytes", "_events_enabled", "_syslog"}) {
        const IniEntry* entry = section.find(key(rest));
        if (entry != nullptr && entry->value != "0" && entry->value != "false")
            leave_out(where, *entry, "not supported in this version");
    }
    const IniEntry* redirect = section.find("redirect_stderr");
    if (stream == "stderr" && redirect != nullptr && is_true(redirect->value))
        return is_listener(section)
                   ? leave_out(where, *redirect, "a listener's stdout is where it answers")
                   : line(out, redirect, "stderr = \"stdout\"");
    const IniEntry* path = section.find(key("_logfile"));
    if (path == nullptr || path->value == "AUTO") {
        if (path != nullptr) line(out, path, fmt::format("{} = \"forward\"", stream));
        return;
    }
    const std::string& value = path->value;
    if (value == "NONE" || value == "/dev/null")
        return line(out, path, fmt::format("{} = \"null\"", stream));
    if (value.starts_with("/dev/fd/") || value == "/dev/stdout" || value == "/dev/stderr" ||
        value.starts_with("/proc/self/fd/"))
        return line(out, path, fmt::format("{} = \"forward\"", stream));
    if (value == "syslog") return leave_out(where, *path, "syslog: output is forwarded to stdout");
    std::string ours = text_of(where, *path);
    if (ours.find('/') == std::string::npos) ours = "./" + ours;
    line(out, path, fmt::format("{} = {}", stream, toml_string(ours)));
}

void Importer::environment(const Where& where, std::string& out) {
    auto pairs = shared_environment_;
    const IniEntry* entry = where.section->find("environment");
    if (entry != nullptr) {
        const auto own = environment_of(text_of(where, *entry));
        if (!own) {
            leave_out(where, *entry, "is not KEY=\"value\",…");
        } else {
            for (const auto& each : *own) {
                std::erase_if(pairs, [&](const auto& pair) { return pair.first == each.first; });
                pairs.push_back(each);
            }
        }
    }
    if (pairs.empty()) return;
    std::string table;
    for (const auto& [name, value] : pairs)
        table +=
            fmt::format("{}{} = {}", table.empty() ? "" : ", ", toml_key(name), toml_string(value));
    line(out, entry, fmt::format("environment = {{ {} }}", table));
}

// Rotation is one setting for both streams here: stdout's, where both have a file.
std::string rotation(const IniSection& section) {
    for (const std::string_view stream : {"stdout", "stderr"}) {
        const IniEntry* path = section.find(fmt::format("{}_logfile", stream));
        if (path == nullptr || path->value.find('/') == std::string::npos ||
            path->value.starts_with("/dev/") || path->value.starts_with("/proc/"))
            continue;
        const IniEntry* size = section.find(fmt::format("{}_logfile_maxbytes", stream));
        const IniEntry* keep = section.find(fmt::format("{}_logfile_backups", stream));
        if (size != nullptr && size->value == "0") return {};
        const auto files = keep == nullptr ? 10 : number(trimmed(keep->value));
        return fmt::format("log_rotate = {{ size = {}, keep = {} }}",
                           toml_string(size_of(size == nullptr ? "50MB" : size->value)),
                           files.value_or(10));
    }
    return {};
}

// A name that is new at each start was the reason for many a shell before a worker.
std::string rq_advice(const std::string& command) {
    const std::size_t at = command.find("rq worker");
    if (at == std::string::npos) return {};
    if (at > 0 && std::string_view(" /'\"").find(command[at - 1]) == std::string_view::npos)
        return {};
    std::string advice =
        "# An RQ worker: with registry = \"rq\" and --name {name} in its command, muster clears "
        "its\n"
        "# registration when it dies and hands its job back.\n";
    const bool has_shell = command.starts_with("sh ") || command.starts_with("bash ") ||
                           command.starts_with("/bin/sh ") || command.starts_with("/bin/bash ");
    if (has_shell)
        advice +=
            "# Without the shell: ${VAR} is filled in anywhere, and {name} is new at each start.\n";
    return advice;
}

void Importer::listener(const Where& where, std::string& out) {
    const IniSection& section = *where.section;
    const IniEntry& events = *section.find("events");
    const IniEntry* size = section.find("buffer_size");
    const auto buffer = size == nullptr ? std::optional<long>(10) : number(trimmed(size->value));
    if (!buffer) leave_out(where, *size, "is no number");
    if (size != nullptr) out += toml_comment(size->comments);
    line(out, &events,
         fmt::format("listener = {{ events = {}, buffer = {} }}", toml_array(events_of(section)),
                     buffer.value_or(10)));
    for (const std::string& name : list(events.value)) {
        if (core::notices_called(name).is_empty())
            leave_out(where, events, fmt::format("{} is never sent here", name));
    }
    const IniEntry* handler = section.find("result_handler");
    if (handler != nullptr && handler->value != "supervisor.dispatchers:default_handler")
        leave_out(where, *handler, "code of supervisord cannot be loaded: OK accepts, else not");
    const IniEntry* path = section.find("stdout_logfile");
    if (path != nullptr && path->value != "AUTO" && path->value != "NONE")
        leave_out(where, *path, "what a listener answers is not logged");
}

void Importer::program_keys(const Where& where, const std::string& name, std::string& out) {
    const IniSection& section = *where.section;
    const IniEntry* command = section.find("command");
    if (command == nullptr) {
        leave_out(where, section.line, "has no command: the program is left out");
        return;
    }
    if (is_listener(section) && events_of(section).empty()) {
        leave_out(where, section.line, "has no event that is sent here: the listener is left out");
        return;
    }
    out += "\n" + toml_comment(section.comments) + "[program." + toml_key(name) + "]\n";
    line(out, command, "command = " + toml_string(text_of(where, *command)));
    names(where, out);
    if (const IniEntry* entry = section.find("directory"))
        line(out, entry, "directory = " + toml_string(text_of(where, *entry)));
    if (const IniEntry* entry = section.find("user"))
        line(out, entry, "user = " + toml_string(text_of(where, *entry)));
    if (const IniEntry* entry = section.find("umask"))
        line(out, entry, "umask = " + toml_string(entry->value));
    environment(where, out);
    starting(where, out);
    ending(where, out);
    if (is_listener(section))
        listener(where, out);
    else
        output(where, "stdout", out);
    output(where, "stderr", out);
    if (const std::string rotate = rotation(section); !rotate.empty()) line(out, nullptr, rotate);
    out += rq_advice(command->value);
    if (const IniEntry* entry = section.find("serverurl"); entry && entry->value != "AUTO")
        leave_out(where, *entry, "children find the control socket in MUSTER_CONTROL");
    std::set<std::string_view> known{"command",
                                     "process_name",
                                     "numprocs",
                                     "numprocs_start",
                                     "priority",
                                     "autostart",
                                     "startsecs",
                                     "startretries",
                                     "autorestart",
                                     "exitcodes",
                                     "stopsignal",
                                     "stopwaitsecs",
                                     "stopasgroup",
                                     "killasgroup",
                                     "user",
                                     "redirect_stderr",
                                     "stdout_logfile",
                                     "stdout_logfile_maxbytes",
                                     "stdout_logfile_backups",
                                     "stdout_capture_maxbytes",
                                     "stdout_events_enabled",
                                     "stdout_syslog",
                                     "stderr_logfile",
                                     "stderr_logfile_maxbytes",
                                     "stderr_logfile_backups",
                                     "stderr_capture_maxbytes",
                                     "stderr_events_enabled",
                                     "stderr_syslog",
                                     "environment",
                                     "directory",
                                     "umask",
                                     "serverurl"};
    if (is_listener(section)) known.insert({"events", "buffer_size", "result_handler"});
    tell_ignored(where, known);
}

void Importer::program(const Where& where, std::string_view kind) {
    const std::string name = where.section->name.substr(kind.size());
    if (!seen_programs_.insert(name).second)
        return leave_out(where, where.section->line, "there is a program of this name already");
    in_program_ = true;
    program_keys(where, name, programs_);
    in_program_ = false;
}

void Importer::section(const Where& where) {
    const std::string& name = where.section->name;
    if (!seen_sections_.insert(name).second)
        return leave_out(where, where.section->line,
                         "is in another file already, whose keys are taken: put them together");
    if (name == "supervisord") return;  // read before all others: its environment is everybody's
    if (name == "unix_http_server") return unix_server(where);
    if (name == "inet_http_server") return inet_server(where);
    if (name == "supervisorctl" || name == "include") return;
    for (const std::string_view kind : {"program:", "eventlistener:"}) {
        if (name.starts_with(kind)) return program(where, kind);
    }
    if (name.starts_with("group:")) return group(where);
    std::string_view why = "unknown to supervisord 4.2.5, and here";
    if (name.starts_with("fcgi-program:"))
        why = "a socket made by the supervisor is not supported: let the program listen itself";
    else if (name == "rpcinterface:supervisor")
        return;
    else if (name.starts_with("rpcinterface:"))
        why = "plug-ins of supervisord cannot be loaded";
    else if (name.starts_with("ctlplugin:"))
        why = "plug-ins of supervisorctl have no counterpart";
    leave_out(where, where.section->line, why);
}

std::optional<Error> Importer::read_includes(const Source& source, const IniSection& section) {
    const IniEntry* files = section.find("files");
    if (files == nullptr) return std::nullopt;
    std::string patterns = text_of({&source, &section}, *files);
    for (const std::string& pattern : split(patterns, ' ')) {
        if (trimmed(pattern).empty()) continue;
        auto found = includes_(source.here, std::string(trimmed(pattern)));
        if (!found) return found.error();
        for (Source& each : *found) {
            if (sources_.size() >= most_files)
                return Error{
                    fmt::format("{} includes more than {} files", source.path, most_files)};
            if (auto error = read(each)) return error;
        }
    }
    return std::nullopt;
}

std::optional<Error> Importer::read(const Source& given) {
    sources_.push_back(std::make_unique<Source>(given));
    const Source& source = *sources_.back();
    auto file = read_ini(source.text);
    if (!file) return file.error().while_doing(fmt::format("reading {}", source.path));
    files_.push_back(std::make_unique<IniFile>(std::move(*file)));
    const bool is_first = files_.size() == 1;
    const IniFile& ini = *files_.back();
    for (const IniSection& each : ini.sections) {
        if (each.name == "supervisord" && is_first) supervisord({&source, &each});
    }
    for (const IniSection& each : ini.sections) section({&source, &each});
    if (!ini.comments.empty()) head_.insert(head_.end(), ini.comments.begin(), ini.comments.end());
    if (!is_first) return std::nullopt;  // includes do not nest there
    for (const IniSection& each : ini.sections) {
        if (each.name != "include") continue;
        if (auto error = read_includes(source, each)) return error;
    }
    return std::nullopt;
}

Result<Imported> Importer::run(const Source& source) {
    if (auto error = read(source)) return *error;
    if (seen_programs_.empty())
        return Error{fmt::format("{} has no [program:…]: nothing to import", source.path),
                     "a supervisord.conf, or a Procfile with \"name: command\" lines, is wanted"};
    Imported result;
    result.toml =
        import_head(source.path,
                    {"supervisord stays when everything has ended; muster ends then, with 0.",
                     "A restart waits 1 s, 2 s, 4 s … up to a minute, not 1 s, 2 s, 3 s …"},
                    left_out_);
    if (!supervisor_.empty()) result.toml += "\n[supervisor]\n" + supervisor_;
    result.toml += programs_ + groups_;
    if (!head_.empty()) result.toml += "\n" + toml_comment(head_);
    result.left_out = std::move(left_out_);
    return result;
}

}  // namespace

Result<Imported> import_supervisord(const Source& source, const Includes& includes) {
    return Importer{includes}.run(source);
}

}  // namespace muster::config
