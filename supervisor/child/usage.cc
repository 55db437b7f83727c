#include "child/usage.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <optional>
#include <string_view>

#include "base/unique_fd.h"
#include "child/proc.h"

namespace muster::child {

namespace {

constexpr std::size_t most_processes = 65'536;  // more are not looked at
constexpr int most_generations = 64;            // between a process and its leader

struct Entry {
    pid_t parent = 0;
    pid_t session = 0;
    std::uint64_t ticks = 0;
    std::uint64_t pages = 0;
};

// Fields by number, from proc_pid_stat(5): 4 parent, 6 session, 14 to 17 times, 24 pages.
std::optional<Entry> read_entry(pid_t pid) {
    const UniqueFd file{::open(fmt::format("/proc/{}/stat", pid).c_str(), O_RDONLY | O_CLOEXEC)};
    if (!file.is_open()) return std::nullopt;
    std::array<char, 1024> text{};
    const ssize_t size = ::read(file.get(), text.data(), text.size());
    if (size <= 0) return std::nullopt;
    std::string_view line(text.data(), static_cast<std::size_t>(size));
    const auto name_end = line.rfind(')');
    if (name_end == std::string_view::npos) return std::nullopt;
    line.remove_prefix(name_end + 1);
    constexpr int last_field = 24;
    std::array<std::uint64_t, last_field + 1> fields{};
    for (int field = 3; field <= last_field; ++field) {
        const auto start = line.find_first_not_of(' ');
        if (start == std::string_view::npos) return std::nullopt;
        line.remove_prefix(start);
        const auto length = std::min(line.find(' '), line.size());
        std::from_chars(line.data(), line.data() + length, fields[static_cast<std::size_t>(field)]);
        line.remove_prefix(length);
    }
    return Entry{static_cast<pid_t>(fields[4]), static_cast<pid_t>(fields[6]),
                 fields[14] + fields[15] + fields[16] + fields[17], fields[24]};
}

}  // namespace

std::unordered_map<pid_t, FamilyUsage> usage_of_families(const std::vector<pid_t>& leaders) {
    std::unordered_map<pid_t, FamilyUsage> families;
    for (const pid_t leader : leaders) families.try_emplace(leader);
    if (families.empty()) return families;
    std::unordered_map<pid_t, Entry> entries;
    for (const pid_t pid : all_pids()) {
        if (entries.size() >= most_processes) break;
        if (const auto entry = read_entry(pid)) entries.emplace(pid, *entry);
    }
    const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    const auto ticks_a_second = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
    for (const auto& [pid, entry] : entries) {
        auto family = families.find(pid);
        auto above = entries.find(entry.parent);
        for (int i = 0; family == families.end() && above != entries.end() && i < most_generations;
             ++i) {
            family = families.find(above->first);
            above = entries.find(above->second.parent);
        }
        if (family == families.end()) family = families.find(entry.session);
        if (family == families.end()) continue;
        FamilyUsage& usage = family->second;
        ++usage.processes;
        usage.memory += entry.pages * page;
        usage.cpu +=
            Duration{static_cast<Duration::rep>(entry.ticks * (1'000'000'000 / ticks_a_second))};
    }
    std::erase_if(families, [](const auto& each) { return each.second.processes == 0; });
    return families;
}

}  // namespace muster::child
