#include "child/oom.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <utility>
#include <vector>

#include "base/text.h"

namespace muster::child {

namespace {

std::string read_file(const char* path) {
    const UniqueFd file{::open(path, O_RDONLY | O_CLOEXEC)};
    std::array<char, 4096> text{};
    const ssize_t size = file.is_open() ? ::read(file.get(), text.data(), text.size()) : 0;
    return {text.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
}

// "4:memory:/a/b" is the v1 controller, "0::/a/b" is v2's one hierarchy (cgroups(7)). In a
// container the path is often that of the host, and its own cgroup is mounted at the root: both are
// tried.
std::vector<std::string> candidates(std::string_view cgroups, const std::string& root) {
    std::vector<std::string> v1;
    std::vector<std::string> v2;
    for (const std::string& line : split(cgroups, '\n')) {
        const auto first = line.find(':');
        const auto second = line.find(':', first + 1);
        if (first == std::string::npos || second == std::string::npos) continue;
        const std::string controllers = line.substr(first + 1, second - first - 1);
        std::string path = line.substr(second + 1);
        if (path == "/") path.clear();
        if (controllers.empty()) {
            v2 = {fmt::format("{}{}/memory.events", root, path), root + "/memory.events"};
            continue;
        }
        for (const std::string& controller : split(controllers, ',')) {
            if (controller == "memory")
                v1 = {fmt::format("{}/memory{}/memory.oom_control", root, path),
                      root + "/memory/memory.oom_control"};
        }
    }
    // Where v1 has the memory controller, v2 has not.
    v1.insert(v1.end(), v2.begin(), v2.end());
    return v1;
}

}  // namespace

std::optional<std::uint64_t> oom_kills_in(std::string_view text) {
    constexpr std::string_view word = "oom_kill ";
    for (const std::string& line : split(text, '\n')) {
        if (!line.starts_with(word)) continue;
        std::uint64_t number = 0;
        const auto [end, code] =
            std::from_chars(line.data() + word.size(), line.data() + line.size(), number);
        if (code == std::errc{}) return number;
    }
    return std::nullopt;
}

OomCounter OomCounter::of_this_process() {
    return find(read_file("/proc/self/cgroup"), "/sys/fs/cgroup");
}

OomCounter OomCounter::find(std::string_view cgroups, const std::string& root) {
    OomCounter counter;
    for (std::string& path : candidates(cgroups, root)) {
        counter.file_ = UniqueFd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
        counter.last_ = counter.read();
        if (!counter.last_) continue;  // the root cgroup has none, nor has v1 before Linux 4.13
        counter.path_ = std::move(path);
        return counter;
    }
    counter.file_.close();
    return counter;
}

std::optional<std::uint64_t> OomCounter::read() const {
    if (!file_.is_open()) return std::nullopt;
    std::array<char, 1024> text{};
    const ssize_t size = ::pread(file_.get(), text.data(), text.size(), 0);
    if (size <= 0) return std::nullopt;
    return oom_kills_in({text.data(), static_cast<std::size_t>(size)});
}

std::optional<std::uint64_t> OomCounter::new_kills() {
    const auto now = read();
    if (!now || !last_) return std::nullopt;
    const std::uint64_t before = std::exchange(*last_, *now);
    return *now > before ? *now - before : 0;
}

}  // namespace muster::child
