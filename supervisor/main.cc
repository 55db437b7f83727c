// Picks the role. As PID 1 the order of the first lines matters: no signal may be lost, no
// descriptor of ours may become somebody's stdout.

#include <fmt/format.h>
#include <malloc.h>

#include <cstddef>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "child/pid1.h"
#include "client/commands.h"
#include "config/config.h"
#include "config/load.h"
#include "daemon/supervisor.h"

namespace {

using namespace muster;

int refused(const std::string& why) {
    fmt::print(stderr, "muster: {}\n", why);
    return client::exit_failed;
}

std::string sentence(const Error& error) {
    return error.hint().empty() ? error.message() : error.message() + "; " + error.hint();
}

std::variant<daemon::Settings, int> settings_for(const client::RunOptions& options) {
    daemon::Settings settings;
    if (!options.command.empty()) {
        const config::CommandLine line{options.command, options.registry, options.processes,
                                       options.redis,   options.restart,  options.control};
        auto config = config::from_command(line, config::process_environment());
        if (!config) {
            fmt::print(stderr, "muster: {}\n", sentence(config.error()));
            return client::exit_usage;
        }
        settings.config = std::move(*config);
        settings.is_plain = line.is_plain();
    } else {
        auto loaded = config::load_file(options.config_path, config::process_environment());
        if (const auto* problems = std::get_if<std::vector<config::Problem>>(&loaded)) {
            for (const config::Problem& problem : *problems)
                fmt::print(stderr, "{}\n", config::describe(problem));
            return client::exit_usage;
        }
        settings.config = std::move(std::get<config::Config>(loaded));
        settings.config_path = options.config_path;
    }
    settings.control = options.control;
    if (options.control) settings.config.supervisor.control = options.control;
    return settings;
}

// Everything that supervision needs is copied off the start-up's heap before that is let go: the
// file's tree leaves it full of holes (4 MiB with a thousand programs).
int supervise(std::unique_ptr<daemon::Settings> loaded, daemon::Tools tools, bool& restarts) {
    daemon::Supervisor supervisor{*loaded, std::move(tools)};
    loaded.reset();
    ::malloc_trim(0);
    if (auto opened = supervisor.open(); !opened) return refused(sentence(opened.error()));
    const int status = supervisor.run();
    restarts = supervisor.is_to_restart();
    return status;
}

void make_room(const config::Config& config) {
    std::size_t children = 0;
    for (const config::Program& program : config.programs) children += program.most_processes();
    child::make_room_for_files(children);
}

int run(const client::RunOptions& options) {
    if (auto adopted = child::become_subreaper(); !adopted)
        return refused(sentence(adopted.error()));
    const auto child_files = child::raise_file_limit();
    if (auto enough = child::check_file_limit(); !enough) return refused(sentence(enough.error()));
    auto spawner = child::Spawner::create(child_files);
    if (!spawner) return refused(sentence(spawner.error()));
    auto reaper = child::Reaper::create();
    if (!reaper) return refused(sentence(reaper.error()));
    auto settings = settings_for(options);
    if (const int* status = std::get_if<int>(&settings)) return *status;
    make_room(std::get<daemon::Settings>(settings).config);
    auto loaded =
        std::make_unique<daemon::Settings>(std::move(std::get<daemon::Settings>(settings)));
    daemon::Tools tools{std::move(*spawner), std::move(*reaper)};
    bool restarts = false;
    const int status = child::run_beside_leader(
        [&] { return supervise(std::move(loaded), std::move(tools), restarts); });
    if (!restarts) return status;
    return refused(sentence(child::begin_anew(options.words, child_files)));
}

}  // namespace

int main(int argc, char** argv) {
    muster::child::block_all_signals();
    muster::child::open_closed_stdio();
    muster::child::look_names_up_without_modules();
    return muster::client::run(argc, argv, run);
}
