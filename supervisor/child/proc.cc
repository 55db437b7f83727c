#include "child/proc.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <memory>

#include "base/unique_fd.h"

namespace muster::child {

namespace {

constexpr std::size_t most_environment = 4 << 20;

using Directory = std::unique_ptr<DIR, int (*)(DIR*)>;

std::vector<pid_t> numbers_in(const std::string& path) {
    std::vector<pid_t> numbers;
    const Directory directory{::opendir(path.c_str()), ::closedir};
    if (!directory) return numbers;
    while (const dirent* entry = ::readdir(directory.get())) {
        const std::string_view name = entry->d_name;
        pid_t number = 0;
        const auto end = std::from_chars(name.data(), name.data() + name.size(), number);
        if (end.ec == std::errc{} && end.ptr == name.data() + name.size()) {
            numbers.push_back(number);
        }
    }
    return numbers;
}

// The kernel lets us read another user's environment with CAP_SYS_PTRACE, which containers do not
// have, or with that user's ids for file access, which whoever starts children as other users can
// take on. By raw calls: they change this thread alone.
UniqueFd open_as_owner(const std::string& path) {
    struct stat owner {};
    if (::geteuid() != 0 || ::stat(path.c_str(), &owner) != 0) return UniqueFd{};
    const int dumpable = ::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
    const auto group = ::syscall(SYS_setfsgid, owner.st_gid);
    const auto user = ::syscall(SYS_setfsuid, owner.st_uid);
    UniqueFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    ::syscall(SYS_setfsuid, user);
    ::syscall(SYS_setfsgid, group);
    if (dumpable == 1) ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);  // a change of ids takes it away
    return file;
}

}  // namespace

std::optional<ProcStat> read_stat(pid_t pid) {
    const UniqueFd file{::open(fmt::format("/proc/{}/stat", pid).c_str(), O_RDONLY | O_CLOEXEC)};
    if (!file.is_open()) return std::nullopt;
    std::array<char, 1024> text{};
    const ssize_t size = ::read(file.get(), text.data(), text.size());
    if (size <= 0) return std::nullopt;
    const std::string_view line(text.data(), static_cast<std::size_t>(size));
    // The name may hold anything, also ") R 1": the last parenthesis ends it.
    const std::size_t name_end = line.rfind(')');
    if (name_end == std::string_view::npos || name_end + 2 >= line.size()) return std::nullopt;

    ProcStat stat{};
    stat.state = line[name_end + 2];
    const char* at = line.data() + name_end + 3;
    const char* const end = line.data() + line.size();
    constexpr int parent_field = 4;
    constexpr int session_field = 6;
    constexpr int start_time_field = 22;
    constexpr int resident_field = 24;
    for (int field = parent_field; field <= resident_field; ++field) {
        while (at != end && *at == ' ') ++at;
        std::from_chars_result next{at, std::errc{}};
        if (field == parent_field) {
            next = std::from_chars(at, end, stat.parent);
        } else if (field == session_field) {
            next = std::from_chars(at, end, stat.session);
        } else if (field == start_time_field) {
            next = std::from_chars(at, end, stat.start_time);
        } else if (field == resident_field) {
            next = std::from_chars(at, end, stat.resident);
        } else {
            while (next.ptr != end && *next.ptr != ' ') ++next.ptr;
        }
        if (next.ec != std::errc{}) return std::nullopt;
        at = next.ptr;
    }
    return stat;
}

std::vector<std::string> read_environment(pid_t pid, std::string_view prefix) {
    return readable_environment(pid, prefix).value_or(std::vector<std::string>{});
}

std::optional<std::vector<std::string>> readable_environment(pid_t pid, std::string_view prefix) {
    const std::string path = fmt::format("/proc/{}/environ", pid);
    UniqueFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    bool is_refused = !file.is_open() && (errno == EACCES || errno == EPERM);
    if (is_refused) {
        file = open_as_owner(path);
        is_refused = !file.is_open() && ::access(path.c_str(), F_OK) == 0;
    }
    if (is_refused) return std::nullopt;
    std::vector<std::string> found;
    if (!file.is_open()) return found;

    std::string text;
    std::array<char, 16384> piece{};
    ssize_t size = 0;
    while (text.size() < most_environment &&
           (size = ::read(file.get(), piece.data(), piece.size())) > 0) {
        text.append(piece.data(), static_cast<std::size_t>(size));
    }
    std::string_view rest = text;
    while (!rest.empty()) {
        const std::string_view entry = rest.substr(0, rest.find('\0'));
        if (entry.starts_with(prefix)) found.emplace_back(entry);
        rest.remove_prefix(std::min(rest.size(), entry.size() + 1));
    }
    return found;
}

std::vector<pid_t> all_pids() {
    return numbers_in("/proc");
}

void append_children(int fd, std::vector<pid_t>& pids) {
    std::array<char, 4096> piece{};
    off_t offset = 0;
    pid_t number = 0;
    ssize_t size = 0;
    // A number may be cut between two reads; each ends with a space.
    while ((size = ::pread(fd, piece.data(), piece.size(), offset)) > 0) {
        for (const char digit : std::string_view(piece.data(), static_cast<std::size_t>(size))) {
            if (digit == ' ') {
                pids.push_back(number);
                number = 0;
            } else {
                number = number * 10 + (digit - '0');
            }
        }
        offset += size;
    }
}

std::vector<pid_t> children_of(pid_t pid) {
    std::vector<pid_t> children;
    const std::string tasks = fmt::format("/proc/{}/task", pid);
    bool is_listed = false;
    for (const pid_t thread : numbers_in(tasks)) {
        const UniqueFd list{
            ::open(fmt::format("{}/{}/children", tasks, thread).c_str(), O_RDONLY | O_CLOEXEC)};
        if (!list.is_open()) continue;
        is_listed = true;
        append_children(list.get(), children);
    }
    if (is_listed) return children;
    if (::access("/proc/self/task", F_OK) != 0) return children;
    for (const pid_t other : all_pids()) {
        const auto stat = read_stat(other);
        if (stat && stat->parent == pid) children.push_back(other);
    }
    return children;
}

}  // namespace muster::child
