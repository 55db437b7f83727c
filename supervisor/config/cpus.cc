#include "config/cpus.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <string>

#include "base/text.h"

namespace muster::config {

namespace {

std::string first_line(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

std::optional<double> tighter(std::optional<double> a, std::optional<double> b) {
    if (!a || !b) return a ? a : b;
    return std::min(*a, *b);
}

// Version 2: a limit may stand at any level above us. Inside a container the root is our own group.
std::optional<double> unified_quota(std::string group) {
    std::optional<double> least;
    for (;;) {
        least = tighter(least, quota_of(first_line("/sys/fs/cgroup" + group + "/cpu.max")));
        const auto slash = group.rfind('/');
        if (slash == std::string::npos) return least;
        group.resize(slash);
    }
}

std::optional<double> version_1_quota(const std::string& group) {
    std::optional<double> least;
    for (const std::string& folder : {group, std::string{}}) {
        const std::string base = "/sys/fs/cgroup/cpu" + folder;
        least = tighter(least, quota_of(first_line(base + "/cpu.cfs_quota_us") + " " +
                                        first_line(base + "/cpu.cfs_period_us")));
    }
    return least;
}

std::optional<double> quota() {
    std::ifstream file("/proc/self/cgroup");
    std::optional<double> least;
    for (std::string line; std::getline(file, line);) {
        const auto parts = split(line, ':');  // 0::/path or 4:cpu,cpuacct:/path
        if (parts.size() < 3) continue;
        const std::string path = parts[2] == "/" ? "" : parts[2];
        if (parts[1].empty()) least = tighter(least, unified_quota(path));
        const auto controllers = split(parts[1], ',');
        if (std::find(controllers.begin(), controllers.end(), "cpu") != controllers.end())
            least = tighter(least, version_1_quota(path));
    }
    return least;
}

double allowed_processors() {
    cpu_set_t set;
    CPU_ZERO(&set);
    // Fails where there are more than the set can hold: then what is online.
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
    return static_cast<double>(sysconf(_SC_NPROCESSORS_ONLN));
}

std::optional<double> number(std::string_view text) {
    double value = 0;
    const auto [rest, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (code != std::errc{} || rest != text.data() + text.size()) return std::nullopt;
    return value;
}

}  // namespace

std::optional<double> quota_of(std::string_view cpu_max) {
    const auto blank = std::min(cpu_max.find(' '), cpu_max.size());
    const auto quota = number(cpu_max.substr(0, blank));
    const auto period = number(trimmed(cpu_max.substr(blank)));
    if (!quota || !period || *quota <= 0 || *period <= 0) return std::nullopt;  // -1: none
    return *quota / *period;
}

std::uint32_t usable_cpus() {
    const double cpus = *tighter(quota(), allowed_processors());
    return static_cast<std::uint32_t>(std::clamp(std::ceil(cpus), 1.0, 10'000.0));
}

}  // namespace muster::config
