#include "config/print.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>

#include "base/text.h"
#include "config/expand.h"
#include "config/program_tables.h"
#include "config/toml_text.h"

namespace muster::config {

namespace {

constexpr std::string_view masked = "***";

// The places in a text where a URL has a login; what is in it is masked, a user without a password
// too: redis://SECRET@host is a password alone.
std::string without_logins(std::string_view text) {
    std::string shown;
    for (;;) {
        const auto scheme = text.find("://");
        if (scheme == text.npos) break;
        shown += text.substr(0, scheme + 3);
        text.remove_prefix(scheme + 3);
        const auto end = std::min(text.find_first_of(" \t\r\n\"'"), text.size());
        auto address = text.substr(0, end);
        text.remove_prefix(end);
        // A password may hold a '/' that should have been escaped: up to the last '@'.
        if (const auto at = address.rfind('@'); at != address.npos) {
            shown += masked;
            address.remove_prefix(at);
        }
        const auto query = std::min(address.find('?'), address.size());
        shown += address.substr(0, query);
        if (query < address.size()) shown += "?***";
    }
    shown += text;
    return shown;
}

bool is_secret_name(std::string_view name) {
    std::string upper(name);
    for (char& c : upper) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
    for (const std::string_view part :
         {"PASS", "PWD", "SECRET", "TOKEN", "KEY", "CREDENTIAL", "AUTH"}) {
        if (upper.find(part) != std::string::npos) return true;
    }
    return false;
}

std::string in_quotes(std::string_view text, Braces braces = Braces::plain) {
    std::string out;
    const std::string_view reference = braces == Braces::in_template ? "${{" : "${";
    for (auto at = text.find(reference); at != text.npos; at = text.find(reference)) {
        out.append(text.substr(0, at)).append("$${");
        text.remove_prefix(at + reference.size());
    }
    return toml_string(out.append(text));
}

std::string list(const std::vector<std::string>& parts) {
    return fmt::format("[{}]", fmt::join(parts, ", "));
}

std::string in_template(std::string_view text) {
    return in_quotes(without_logins(text), Braces::in_template);
}

std::string time(Duration duration) {
    return in_quotes(format_duration(duration));
}

std::string_view word(core::Restart restart) {
    switch (restart) {
        case core::Restart::always:
            return "always";
        case core::Restart::on_failure:
            return "on-failure";
        case core::Restart::never:
            return "never";
    }
    return "";
}

std::string_view word(core::OnFatal on_fatal) {
    switch (on_fatal) {
        case core::OnFatal::exit_when_all:
            return "exit-when-all";
        case core::OnFatal::exit:
            return "exit";
        case core::OnFatal::stay:
            return "stay";
    }
    return "";
}

std::string_view word(core::Orphans orphans) {
    switch (orphans) {
        case core::Orphans::kill:
            return "kill";
        case core::Orphans::wait:
            return "wait";
        case core::Orphans::leave:
            return "leave";
    }
    return "";
}

std::string_view word(Tls::Verify verify) {
    switch (verify) {
        case Tls::Verify::full:
            return "full";
        case Tls::Verify::ca:
            return "ca";
        case Tls::Verify::none:
            return "none";
    }
    return "";
}

std::string_view word(core::Jobs jobs) {
    switch (jobs) {
        case core::Jobs::hand_back:
            return "hand-back";
        case core::Jobs::fail:
            return "fail";
        case core::Jobs::leave:
            return "leave";
    }
    return "";
}

std::string_view word(core::Condition condition) {
    switch (condition) {
        case core::Condition::started:
            return "started";
        case core::Condition::ready:
            return "ready";
        case core::Condition::succeeded:
            return "succeeded";
    }
    return "";
}

std::string output_text(const Output& output) {
    switch (output.kind) {
        case OutputKind::forward:
            return in_quotes("forward");
        case OutputKind::inherit:
            return in_quotes("inherit");
        case OutputKind::null:
            return in_quotes("null");
        case OutputKind::file:
            return in_template(output.path);
        case OutputKind::as_stdout:
            return in_quotes("stdout");
    }
    return "";
}

std::string ready_text(const Ready& ready) {
    if (const auto* after = std::get_if<ReadyAfter>(&ready))
        return fmt::format("{{ after = {} }}", time(after->delay));
    if (const auto* tcp = std::get_if<ReadyTcp>(&ready))
        return fmt::format("{{ tcp = {} }}", in_quotes(tcp->address));
    return in_quotes("registered");
}

std::string bound(std::uint64_t value) {
    if (value == RLIM_INFINITY) return in_quotes("unlimited");
    return value > INT64_MAX ? in_quotes(std::to_string(value)) : std::to_string(value);
}

class Printer {
public:
    std::string text() { return std::move(text_); }
    void print(const Supervisor& supervisor);
    void print(const Redis& redis);
    void print(const Program& program);
    void print(const Group& group);

private:
    void table(std::string_view name) {
        if (!text_.empty()) text_ += '\n';
        text_ += fmt::format("[{}]\n", name);
    }
    void line(std::string_view key, std::string_view value) {
        text_ += fmt::format("{} = {}\n", key, value);
    }
    void print_what(const Program& program);
    void print_limits(const Program& program);
    void print_policy(const Program& program);
    void print_custom(const std::string& program, const CustomRegistry& custom);

    std::string text_;
};

void Printer::print(const Supervisor& supervisor) {
    table("supervisor");
    line("service", in_quotes(supervisor.service));
    if (supervisor.control) line("control", in_quotes(*supervisor.control));
    if (supervisor.http) {
        const HttpAddress& http = *supervisor.http;
        const bool is_ip6 = http.ip.find(':') != std::string::npos;
        line("http", in_quotes(fmt::format("{}{}{}:{}", is_ip6 ? "[" : "", http.ip,
                                           is_ip6 ? "]" : "", http.port)));
    }
    if (!supervisor.http_token_file.empty())
        line("http_token_file", in_quotes(supervisor.http_token_file));
    line("log",
         fmt::format("{{ level = \"{}\", format = \"{}\" }}", level_word(supervisor.log_level),
                     supervisor.log_format == LogFormat::json ? "json" : "text"));
    line("shutdown_timeout", time(supervisor.shutdown_timeout));
}

void Printer::print(const Redis& redis) {
    table("redis");
    if (redis.url_file.empty())
        line("url", in_quotes(without_logins(redis.url)));
    else
        line("url_file", in_quotes(redis.url_file));
    if (redis.tls != Tls{}) {
        std::vector<std::string> parts{
            fmt::format("ca_file = {}", in_quotes(redis.tls.ca_file)),
            fmt::format("verify = {}", in_quotes(word(redis.tls.verify)))};
        if (!redis.tls.cert_file.empty())
            parts.push_back(fmt::format("cert_file = {}", in_quotes(redis.tls.cert_file)));
        if (!redis.tls.key_file.empty())
            parts.push_back(fmt::format("key_file = {}", in_quotes(redis.tls.key_file)));
        line("tls", fmt::format("{{ {} }}", fmt::join(parts, ", ")));
    }
    line("prefix", in_quotes(redis.prefix));
    line("connect_timeout", time(redis.connect_timeout));
    line("command_timeout", time(redis.command_timeout));
    line("economy", redis.economy ? "true" : "false");
    line("lease", time(redis.lease));
    line("sweep", time(redis.sweep));
    line("wait", time(redis.wait));
    line("release_wait", time(redis.release_wait));
}

void Printer::print(const Program& program) {
    table("program." + toml_key(program.name));
    print_what(program);
    print_limits(program);
    print_policy(program);
    if (program.listener) {
        std::vector<std::string> events;
        for (const core::Notice each : program.listener->events.all())
            events.push_back(in_quotes(core::notice_name(each)));
        line("listener",
             fmt::format("{{ events = {}, buffer = {} }}", list(events), program.listener->buffer));
    } else {
        line("stdout", output_text(program.stdout_to));
    }
    line("stderr", output_text(program.stderr_to));
    line("overflow", in_quotes(program.overflow == Overflow::drop ? "drop" : "wait"));
    line("log_rotate",
         fmt::format("{{ size = {}, keep = {}, compress = {} }}", program.log_rotate.size,
                     program.log_rotate.keep, program.log_rotate.compress));
    if (program.custom) print_custom(program.name, *program.custom);
}

void Printer::print(const Group& group) {
    table("group." + toml_key(group.name));
    std::vector<std::string> programs;
    for (const std::string& program : group.programs) programs.push_back(in_quotes(program));
    line("programs", list(programs));
    line("priority", std::to_string(group.priority));
}

void Printer::print_what(const Program& program) {
    std::vector<std::string> parts;
    for (const std::string& argument : program.command) parts.push_back(in_template(argument));
    line("command", list(parts));
    line("registry", in_quotes(core::traits(program.registry).word));
    if (const auto& scale = program.autoscale) {
        std::vector<std::string> queues;
        for (const std::string& queue : scale->queues) queues.push_back(in_quotes(queue));
        line("autoscale",
             fmt::format("{{ min = {}, max = {}, queues = {}, jobs_per_process = {}, down_after = "
                         "{} }}",
                         scale->min, scale->max, list(queues), scale->jobs_per_process,
                         time(scale->down_after)));
    } else if (program.processes) {
        line("processes", std::to_string(*program.processes));
    }
    line("name", in_quotes(program.name_template, Braces::in_template));
    if (!program.directory.empty()) line("directory", in_template(program.directory));
    if (!program.user.empty()) line("user", in_quotes(program.user));
    if (!program.group.empty()) line("group", in_quotes(program.group));
    if (!program.environment.empty()) {
        parts.clear();
        for (const auto& [name, value] : program.environment)
            parts.push_back(
                fmt::format("{} = {}", toml_key(name),
                            is_secret_name(name) ? in_quotes(masked) : in_template(value)));
        line("environment", fmt::format("{{ {} }}", fmt::join(parts, ", ")));
    }
    if (!program.env_file.empty()) line("env_file", in_quotes(program.env_file));
    if (program.umask) line("umask", fmt::format("\"{:03o}\"", *program.umask));
}

void Printer::print_limits(const Program& program) {
    std::vector<std::string> parts;
    for (const Limit& limit : program.limits) {
        const auto value = limit.soft == limit.hard
                               ? bound(limit.soft)
                               : fmt::format("[{}, {}]", bound(limit.soft), bound(limit.hard));
        parts.push_back(fmt::format("{} = {}", limit_name(limit.resource), value));
    }
    if (program.nice) parts.push_back(fmt::format("nice = {}", *program.nice));
    if (program.oom_score_adj)
        parts.push_back(fmt::format("oom_score_adj = {}", *program.oom_score_adj));
    if (!parts.empty()) line("limits", fmt::format("{{ {} }}", fmt::join(parts, ", ")));
}

void Printer::print_policy(const Program& program) {
    const core::Policy& policy = program.policy;
    std::vector<std::string> parts;
    line("autostart", policy.autostart ? "true" : "false");
    for (const core::Dependency& dependency : program.after)
        parts.push_back(fmt::format("\"{}:{}\"", dependency.program, word(dependency.condition)));
    if (!parts.empty()) line("after", list(parts));
    line("priority", std::to_string(program.priority));
    line("restart", in_quotes(word(policy.restart)));
    line("exit_codes", fmt::format("[{}]", fmt::join(policy.exit_codes, ", ")));
    line("ready", ready_text(program.ready));
    line("start_timeout", time(policy.start_timeout));
    line("backoff",
         fmt::format("{{ initial = {}, max = {}, factor = {}, jitter = {}, reset_after = {} }}",
                     time(policy.backoff.initial), time(policy.backoff.max), policy.backoff.factor,
                     policy.backoff.jitter, time(policy.backoff.reset_after)));
    line("start_limit", std::to_string(policy.start_limit));
    line("on_fatal", in_quotes(word(policy.on_fatal)));
    line("essential", policy.essential ? "true" : "false");
    parts.clear();
    for (const core::StopStep& step : policy.stop) {
        const auto signal = signal_name(step.signal.value());
        parts.push_back(signal == "KILL"
                            ? "\"KILL\""
                            : fmt::format("\"{} {}\"", signal, format_duration(step.wait)));
    }
    line("stop", list(parts));
    if (policy.drain > Duration::zero()) line("drain", time(policy.drain));
    line("orphans", in_quotes(word(policy.orphans)));
    if (policy.max_age) line("max_age", time(*policy.max_age));
    if (program.memory.is_limited()) {
        parts.clear();
        if (program.memory.soft > 0) parts.push_back(fmt::format("soft = {}", program.memory.soft));
        if (program.memory.hard > 0) parts.push_back(fmt::format("hard = {}", program.memory.hard));
        line("memory", fmt::format("{{ {} }}", fmt::join(parts, ", ")));
    }
    if (policy.has_registry) {
        line("jobs", in_quotes(word(program.jobs)));
        line("poison", fmt::format("{{ deaths = {}, within = {} }}", program.poison.deaths,
                                   time(program.poison.within)));
        line("health.registry", fmt::format("{{ missing_after = {}, heartbeat_timeout = {} }}",
                                            time(program.health_registry.missing_after),
                                            time(program.health_registry.heartbeat_timeout)));
    }
}

void Printer::print_custom(const std::string& program, const CustomRegistry& custom) {
    table(fmt::format("program.{}.custom", toml_key(program)));
    if (!custom.set.empty()) line("set", in_template(custom.set));
    if (!custom.set.empty()) line("member", in_template(custom.member));
    if (!custom.key.empty()) line("key", in_template(custom.key));
    std::vector<std::string> parts;
    for (const auto& [name, value] : custom.fields)
        parts.push_back(fmt::format("{} = {}", toml_key(name), in_template(value)));
    if (!parts.empty()) line("fields", fmt::format("{{ {} }}", fmt::join(parts, ", ")));
}

}  // namespace

std::string printed(const Config& config) {
    Printer printer;
    printer.print(config.supervisor);
    if (config.redis) printer.print(*config.redis);
    for (const Program& program : config.programs) printer.print(program);
    for (const Group& group : config.groups) printer.print(group);
    return printer.text();
}

std::string printed(const Program& program) {
    Printer printer;
    printer.print(program);
    return printer.text();
}

std::string printed(const Supervisor& supervisor) {
    Printer printer;
    printer.print(supervisor);
    return printer.text();
}

std::string printed(const Redis& redis) {
    Printer printer;
    printer.print(redis);
    return printer.text();
}

}  // namespace muster::config
