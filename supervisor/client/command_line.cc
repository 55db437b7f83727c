#include "client/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <charconv>

#include "base/text.h"
#include "client/verb_words.h"

namespace muster::client {

namespace {

constexpr auto verbs = std::to_array<VerbWord>({
    {"run", Verb::run, "supervises what the configuration says, or one command"},
    {"check", Verb::check, "validates the configuration"},
    {"status", Verb::status, "shows the processes"},
    {"start", Verb::start, "starts processes and waits until they are ready"},
    {"stop", Verb::stop, "stops processes and waits until nothing of them is left"},
    {"restart", Verb::restart, "stops and starts processes"},
    {"roll", Verb::roll, "restarts processes one at a time, each ready before the next"},
    {"scale", Verb::scale, "changes the number of a program's processes"},
    {"quiet", Verb::quiet, "lets workers take no new jobs, where the job system can"},
    {"resume", Verb::resume, "ends quiet"},
    {"reload", Verb::reload, "reads the configuration again and applies what changed"},
    {"signal", Verb::signal, "sends a signal to processes"},
    {"why", Verb::why, "tells why processes are in their state, and of their last deaths"},
    {"logs", Verb::logs, "shows what processes wrote last"},
    {"events", Verb::events, "shows what happened of late"},
    {"health", Verb::health, "exits with 0 when all is ready, else with 1"},
    {"workers", Verb::workers, "shows every worker in the registry, its owner, alive or stale"},
    {"fleet", Verb::fleet, "shows every instance of muster on the same Redis"},
    {"sweep", Verb::sweep, "finds stale registrations; needs no supervisor"},
    {"shutdown", Verb::shutdown, "asks the supervisor to stop everything and end"},
    {"import", Verb::import, "turns a supervisord.conf or a Procfile into TOML"},
    {"version", Verb::version, "shows the version"},
});

std::string general_help() {
    std::string text =
        "muster supervises job workers that register themselves in Redis.\n\n"
        "Usage: muster VERB [OPTIONS] [ARGUMENTS]\n\n";
    for (const VerbWord& each : verbs) text += fmt::format("  {:<10}{}\n", each.name, each.does);
    text +=
        "\nmuster VERB -h tells more. The control socket is -s PATH, else $MUSTER_CONTROL, else a "
        "default path.\n"
        "Exit status: 0 done, 1 failed, 2 wrong usage or invalid configuration, 3 not running,\n"
        "4 no such process, 5 the supervisor cannot be reached.\n";
    return text;
}

Message wrong_usage(std::string_view verb, std::string_view what) {
    const std::string name = verb.empty() ? "muster" : fmt::format("muster {}", verb);
    return {exit_usage, fmt::format("{}: {}\n{} -h tells how it is used\n", name, what, name)};
}

Message unknown_verb(std::string_view word) {
    std::array<std::string_view, verbs.size()> names;
    std::transform(verbs.begin(), verbs.end(), names.begin(), [](const auto& v) { return v.name; });
    const std::string_view meant = nearest(word, names);
    return wrong_usage(
        {}, meant.empty() ? fmt::format("there is no verb '{}'", word)
                          : fmt::format("there is no verb '{}'; did you mean {}?", word, meant));
}

bool takes_value(std::string_view option) {
    return option == "-s" || option == "--socket";
}

// The verb is the first word that is neither an option nor the path that belongs to one.
std::size_t find_verb(const std::vector<std::string>& arguments) {
    std::size_t at = 0;
    while (at < arguments.size() && arguments[at].size() > 1 && arguments[at][0] == '-')
        at += takes_value(arguments[at]) ? 2 : 1;
    return at;
}

}  // namespace

std::span<const VerbWord> verb_words() {
    return verbs;
}

void describe_verb(CLI::App& app, CommandLine& line) {
    const auto selectors = [&](bool required) {
        auto* option = app.add_option("SEL", line.selectors,
                                      "all, PROGRAM, GROUP, PROCESS, PROGRAM:*, GROUP:PROCESS, …");
        if (required) option->required();
    };
    const auto no_wait = [&] {
        app.add_flag("!--no-wait", line.waits, "does not wait for the outcome");
    };
    const auto json = [&] { app.add_flag("--json", line.json, "prints JSON"); };
    const auto config = [&] {
        app.add_option("-c,--config", line.config_path,
                       "default: $MUSTER_CONFIG, ./muster.toml, /etc/muster/muster.toml")
            ->type_name("FILE");
    };
    const bool is_offline =
        line.verb == Verb::check || line.verb == Verb::import || line.verb == Verb::sweep;
    if (!is_offline)
        app.add_option("-s,--socket", line.socket_path, "the control socket; else $MUSTER_CONTROL")
            ->type_name("PATH")
            ->take_last();
    switch (line.verb) {
        case Verb::run:
            config();
            app.add_option("--registry", line.run.registry, "of the command's workers")
                ->type_name("rq|sidekiq|resque|celery|dramatiq|bullmq");
            app.add_option("-n,--processes", line.run.processes, "how many of the command")
                ->check(CLI::Range(1, 100'000))
                ->type_name("N");
            app.add_option("--redis", line.run.redis, "else $MUSTER_REDIS_URL, $REDIS_URL")
                ->type_name("URL");
            app.add_option("--restart", line.run.restart, "after which ends it is started again")
                ->type_name("always|on-failure|never");
            app.footer("One command without a file: muster run [OPTIONS] -- COMMAND …");
            return;
        case Verb::check:
            config();
            app.add_flag("--print", line.prints, "prints what is in effect, secrets masked");
            app.add_flag("--connect", line.connects, "tries the way to Redis, TLS and permissions");
            return;
        case Verb::status:
            selectors(false);
            app.add_flag("--watch", line.watches, "goes on, on a terminal");
            return json();
        case Verb::start:
        case Verb::stop:
        case Verb::restart:
        case Verb::roll:
            selectors(true);
            no_wait();
            return json();
        case Verb::quiet:
        case Verb::resume:
            selectors(true);
            return json();
        case Verb::scale:
            app.add_option("SIZE", line.selectors, "PROGRAM=N: how many processes a program has")
                ->required();
            no_wait();
            return json();
        case Verb::reload:
            app.add_flag("--dry-run", line.dry_run, "tells what would change, and changes nothing");
            no_wait();
            return json();
        case Verb::why:
            selectors(true);
            return json();
        case Verb::signal:
            app.add_option("SIG", line.signal_name, "HUP, SIGHUP or 1")->required();
            selectors(true);
            return json();
        case Verb::import:
            app.add_option("FILE", line.import_path, "a supervisord.conf or a Procfile")
                ->required();
            app.add_option("-o,--output", line.import_to, "a new file; else stdout")
                ->type_name("OUT");
            return;
        case Verb::logs:
            selectors(true);
            app.add_flag("-f,--follow", line.follows, "goes on with what comes");
            app.add_option("-n,--lines", line.lines, "how many of the last ones (100)")
                ->check(CLI::Range(0, 1'000'000))
                ->type_name("N");
            app.add_flag("--stderr", line.is_stderr, "stderr instead of stdout");
            return;
        case Verb::events:
            app.add_flag("-f,--follow", line.follows, "goes on with what comes");
            app.add_option("-n,--lines", line.lines, "how many of the last ones (100)")
                ->check(CLI::Range(0, 1'000'000))
                ->type_name("N");
            return json();
        case Verb::workers:
            app.add_flag("--stale", line.only_stale, "only those that are stale");
            return json();
        case Verb::fleet:
            return json();
        case Verb::sweep:
            config();
            app.add_option("--redis", line.sweep.redis,
                           "else the configuration's, $MUSTER_REDIS_URL, $REDIS_URL")
                ->type_name("URL");
            app.add_option("--registry", line.sweep.registry, "whose; default: rq")
                ->type_name("rq|sidekiq");
            app.add_option("--prefix", line.sweep.prefix, "of muster's own keys; default: muster")
                ->type_name("PREFIX");
            app.add_flag("--apply", line.sweep.applies, "clears what is due; else nothing is");
            app.add_flag("--wait", line.sweep.waits, "waits for the second look, a minute later");
            return json();
        case Verb::health:
            app.add_flag("--live", line.only_live,
                         "whether muster itself answers, ready or not: for a liveness probe");
            return;
        case Verb::shutdown:
        case Verb::version:
            return;
    }
}

namespace {

std::string read_scales(CommandLine& line) {
    for (const std::string& word : line.selectors) {
        const auto equals = word.rfind('=');
        std::uint32_t number = 0;
        const char* end = word.data() + word.size();
        const bool has_number = equals != std::string::npos && equals > 0 &&
                                std::from_chars(word.data() + equals + 1, end, number).ptr == end &&
                                equals + 1 < word.size();
        if (!has_number || number < 1 || number > 10'000)
            return fmt::format("'{}' is not PROGRAM=N, with N from 1 to 10000", word);
        line.scales.emplace_back(word.substr(0, equals), number);
    }
    return {};
}

// What CLI11 cannot know; "" = all is well.
std::string complaint(CommandLine& line) {
    if (line.watches && line.json)
        return "--watch is for people: with --json, ask again, or follow `muster events -f --json`";
    if (line.verb == Verb::signal) {
        line.signal = signal_by_name(line.signal_name);
        if (line.signal == 0) return fmt::format("there is no signal '{}'", line.signal_name);
    }
    if (line.verb == Verb::scale) return read_scales(line);
    if (line.verb != Verb::run) return {};
    const RunOptions& run = line.run;
    const bool has_command = !run.command.empty();
    if (has_command && !line.config_path.empty()) return "either -c FILE or a command, not both";
    if (!has_command && (run.registry || run.processes || run.redis || run.restart))
        return "--registry, -n, --redis and --restart go with a command: muster run … -- COMMAND …";
    return {};
}

// Everything after the first "--" is the command of `run`; to the other verbs it is names.
void take_rest(CommandLine& line, std::vector<std::string>& words) {
    const auto dashes = std::find(words.begin(), words.end(), "--");
    if (dashes == words.end() || line.verb != Verb::run) return;
    line.run.command.assign(dashes + 1, words.end());
    words.erase(dashes, words.end());
}

}  // namespace

std::variant<CommandLine, Message> parse_command_line(const std::vector<std::string>& arguments) {
    const std::size_t at = find_verb(arguments);
    if (at >= arguments.size()) {
        const auto asks = [&](std::string_view a, std::string_view b) {
            return std::any_of(arguments.begin(), arguments.end(),
                               [&](const std::string& word) { return word == a || word == b; });
        };
        if (asks("-h", "--help")) return Message{exit_done, general_help()};
        if (asks("-V", "--version")) return Message{exit_done, "muster " MUSTER_VERSION "\n"};
        return Message{exit_usage, general_help()};
    }
    const auto* const known = std::find_if(verbs.begin(), verbs.end(), [&](const VerbWord& each) {
        return each.name == arguments[at];
    });
    if (known == verbs.end()) return unknown_verb(arguments[at]);

    CommandLine line;
    line.verb = known->verb;
    line.verb_name = known->name;
    std::vector<std::string> words = arguments;
    words.erase(words.begin() + static_cast<std::ptrdiff_t>(at));
    const bool has_dashes = std::find(words.begin(), words.end(), "--") != words.end();
    take_rest(line, words);
    if (line.verb == Verb::run && has_dashes && line.run.command.empty())
        return wrong_usage(line.verb_name, "a command must follow --");
    // One parser for the one verb: building all of them costs more than most verbs do.
    CLI::App app{std::string(known->does), fmt::format("muster {}", known->name)};
    describe_verb(app, line);
    std::reverse(words.begin(), words.end());  // as CLI11 wants it
    try {
        app.parse(std::move(words));
    } catch (const CLI::CallForHelp&) {
        return Message{exit_done, app.help()};
    } catch (const CLI::ParseError& error) {
        return wrong_usage(line.verb_name, error.what());
    }
    const std::string wrong = complaint(line);
    if (!wrong.empty()) return wrong_usage(line.verb_name, wrong);
    return line;
}

}  // namespace muster::client
