#include "daemon/env_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/text.h"
#include "base/unique_fd.h"

namespace muster::daemon {

namespace {

constexpr std::size_t longest_file = 1 << 20;

std::string unquoted(std::string_view value) {
    if (value.size() < 2 || (value.front() != '"' && value.front() != '\'') ||
        value.back() != value.front()) {
        return std::string(value);
    }
    return std::string(value.substr(1, value.size() - 2));
}

}  // namespace

Result<std::map<std::string, std::string>> parse_env_file(std::string_view text) {
    std::map<std::string, std::string> values;
    std::size_t number = 0;
    for (const std::string& raw : split(text, '\n')) {
        ++number;
        std::string_view line = trimmed(raw);
        if (line.empty() || line.front() == '#') continue;
        if (line.starts_with("export ")) line = trimmed(line.substr(7));
        const auto equals = line.find('=');
        const std::string_view key = trimmed(line.substr(0, equals));
        if (equals == std::string_view::npos || key.empty() ||
            key.find_first_of(" \t") != std::string_view::npos) {
            return Error{
                fmt::format("line {}: not KEY=value", number)};  // the line itself may be a secret
        }
        if (line.find('\0') != std::string_view::npos)
            return Error{fmt::format("line {}: has a NUL byte", number)};
        values[std::string(key)] = unquoted(trimmed(line.substr(equals + 1)));
    }
    return values;
}

Result<std::map<std::string, std::string>> read_env_file(const std::string& path) {
    const std::string what = fmt::format("reading env_file {}", path);
    const UniqueFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (!file.is_open()) return Error{fmt::format("{}: {}", what, errno_text(errno))};
    std::string text;
    std::array<char, 4096> buffer{};
    for (;;) {
        const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
        if (got < 0) return Error{fmt::format("{}: {}", what, errno_text(errno))};
        if (got == 0) break;
        text.append(buffer.data(), static_cast<std::size_t>(got));
        if (text.size() > longest_file) return Error{fmt::format("{}: longer than 1 MiB", what)};
    }
    auto values = parse_env_file(text);
    if (!values) return values.error().while_doing(what);
    return values;
}

}  // namespace muster::daemon
