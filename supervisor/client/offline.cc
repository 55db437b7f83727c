#include "client/offline.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/text.h"
#include "base/unique_fd.h"
#include "client/connect_check.h"
#include "config/import.h"
#include "config/load.h"
#include "config/print.h"

namespace muster::client {

Result<std::string> find_config(const std::string& named) {
    if (!named.empty()) return named;
    const char* variable = std::getenv("MUSTER_CONFIG");
    if (variable != nullptr && variable[0] != '\0') return std::string(variable);
    for (const char* path : {"muster.toml", "/etc/muster/muster.toml"}) {
        if (access(path, F_OK) == 0) return std::string(path);
    }
    return Error{"no configuration: there is neither ./muster.toml nor /etc/muster/muster.toml",
                 "name one with -c FILE or $MUSTER_CONFIG; a single command needs no file: muster "
                 "run -- COMMAND"};
}

Printed check(const CommandLine& line) {
    const auto path = find_config(line.config_path);
    if (!path)
        return {.status = exit_usage,
                .out = {},
                .err = fmt::format("muster check: {}\n  {}\n", path.error().message(),
                                   path.error().hint())};
    const auto loaded = config::load_file(*path, config::process_environment());
    Printed result;
    if (const auto* problems = std::get_if<std::vector<config::Problem>>(&loaded)) {
        result.status = exit_usage;
        for (const config::Problem& each : *problems) result.err += config::describe(each) + "\n";
        return result;
    }
    const auto& config = std::get<config::Config>(loaded);
    result.out = line.prints ? config::printed(config) : fmt::format("{}: ok\n", *path);
    if (line.connects) {
        const Printed connection = connect_check(config);
        result.status = connection.status;
        result.out += (line.prints ? "\n" : "") + connection.out;
        result.err += connection.err;
    }
    return result;
}

namespace {

Outcome write_new(const std::string& path, std::string_view text) {
    const UniqueFd fd{::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)};
    if (!fd.is_open() && errno == EEXIST)
        return Error{fmt::format("{} is there already", path), "remove it, or name another file"};
    if (!fd.is_open()) return Error{fmt::format("creating {}: {}", path, errno_text(errno))};
    while (!text.empty()) {
        const ssize_t written = ::write(fd.get(), text.data(), text.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return Error{fmt::format("writing {}: {}", path, errno_text(errno))};
        text.remove_prefix(static_cast<std::size_t>(written));
    }
    return Done{};
}

// What the loader says of it, with a value for every variable: which are set is not the point here.
std::string doubts(const std::string& toml) {
    const auto loaded = config::load_text(toml, "the result", [](const std::string& name) {
        return config::process_environment()(name).value_or("1");
    });
    std::string text;
    if (const auto* problems = std::get_if<std::vector<config::Problem>>(&loaded)) {
        for (const config::Problem& each : *problems) text += config::describe(each) + "\n";
    }
    return text;
}

}  // namespace

Printed import_file(const CommandLine& line) {
    const auto failed = [](const Error& error) {
        Printed printed{.status = exit_failed,
                        .out = {},
                        .err = fmt::format("muster import: {}\n", error.message())};
        if (!error.hint().empty()) printed.err += fmt::format("  {}\n", error.hint());
        return printed;
    };
    auto imported = config::import_file(line.import_path);
    if (!imported) return failed(imported.error());
    Printed result;
    for (const std::string& each : imported->left_out)
        result.err += fmt::format("not carried over: {}\n", each);
    if (const std::string wrong = doubts(imported->toml); !wrong.empty()) {
        result.status = exit_failed;
        result.err += fmt::format("muster check would refuse the result:\n{}", wrong);
    }
    if (line.import_to.empty()) {
        result.out = std::move(imported->toml);
    } else if (const auto outcome = write_new(line.import_to, imported->toml); !outcome) {
        return failed(outcome.error());
    }
    return result;
}

}  // namespace muster::client
