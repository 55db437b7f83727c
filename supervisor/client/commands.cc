#include "client/commands.h"

#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <cstring>

#include "client/arguments.h"
#include "client/command_line.h"
#include "client/control_verbs.h"
#include "client/offline.h"
#include "client/sweep.h"

namespace muster::client {

namespace {

int print(const Printed& printed) {
    std::fwrite(printed.err.data(), 1, printed.err.size(), stderr);
    std::fwrite(printed.out.data(), 1, printed.out.size(), stdout);
    // A full disk must not look like success.
    if (std::fflush(stdout) != 0 && printed.status == exit_done) return exit_failed;
    return printed.status;
}

// main blocks all signals first, for the supervisor; at a prompt Ctrl-C shall work.
void unblock_signals() {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
}

Result<RunOptions> run_options(CommandLine line) {
    RunOptions options = std::move(line.run);
    if (!line.socket_path.empty()) options.control = line.socket_path;
    if (!options.command.empty()) return options;
    auto path = find_config(line.config_path);
    if (!path) return path.error();
    options.config_path = std::move(*path);
    return options;
}

Printed offline(const CommandLine& line) {
    if (line.verb == Verb::check) return check(line);
    if (line.verb == Verb::import) return import_file(line);
    if (line.verb == Verb::sweep) return sweep(line);
    return {.status = exit_done, .out = "muster " MUSTER_VERSION "\n", .err = {}};
}

}  // namespace

int run(int argc, char** argv, const std::function<int(const RunOptions&)>& supervise) {
    std::vector<std::string> words(argv, argv + argc);
    const std::vector<std::string> arguments(words.begin() + (argc > 0 ? 1 : 0), words.end());
    for (int i = 1; i < argc; ++i) hide_secrets({argv[i], std::strlen(argv[i])});
    auto parsed = parse_command_line(arguments);
    if (const auto* message = std::get_if<Message>(&parsed)) {
        const bool is_help = message->status == exit_done;
        return print({.status = message->status,
                      .out = is_help ? message->text : "",
                      .err = is_help ? "" : message->text});
    }
    auto& line = std::get<CommandLine>(parsed);
    if (line.verb == Verb::run) {
        auto options = run_options(std::move(line));
        if (options) {
            options->words = std::move(words);
            return supervise(*options);
        }
        return print({.status = exit_usage,
                      .out = {},
                      .err = fmt::format("muster run: {}\n  {}\n", options.error().message(),
                                         options.error().hint())});
    }
    unblock_signals();
    const bool is_offline = line.verb == Verb::check || line.verb == Verb::version ||
                            line.verb == Verb::import || line.verb == Verb::sweep;
    return print(is_offline ? offline(line) : control_verb(line));
}

}  // namespace muster::client
