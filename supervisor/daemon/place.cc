#include "daemon/place.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>
#include <vector>

#include "base/text.h"
#include "child/proc.h"

namespace muster::daemon {
namespace {

constexpr std::size_t longest_file = 1 << 20;
constexpr int most_groups = 10'000;

std::string text_of(const std::string& path) {
    std::ifstream file(path);
    std::string text(longest_file, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(file.gcount()));
    return text;
}

std::string link_of(const char* path) {
    std::array<char, 256> target{};
    const ssize_t size = ::readlink(path, target.data(), target.size());
    return size > 0 ? std::string(target.data(), static_cast<std::size_t>(size)) : std::string{};
}

struct Mount {
    std::string_view root;   // of its file system
    std::string_view point;  // where it is seen
    std::string_view type;
    std::string_view options;
};

// "36 35 98:0 /root /point rw,noatime master:1 - ext3 /dev/root rw,errors=continue"
std::optional<Mount> mount_of(std::string_view line) {
    const std::size_t dash = line.find(" - ");
    if (dash == std::string_view::npos) return std::nullopt;
    const auto words = [](std::string_view text) {
        std::vector<std::string_view> found;
        while (!text.empty()) {
            const std::size_t end = std::min(text.find(' '), text.size());
            if (end > 0) found.push_back(text.substr(0, end));
            text.remove_prefix(std::min(text.size(), end + 1));
        }
        return found;
    };
    const auto before = words(line.substr(0, dash));
    const auto after = words(line.substr(dash + 3));
    if (before.size() < 5 || after.size() < 3) return std::nullopt;
    return Mount{before[3], before[4], after[0], after[2]};
}

template <class F>
void each_line(std::string_view text, F&& f) {
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        f(text.substr(0, end));
        text.remove_prefix(std::min(text.size(), end + 1));
    }
}

// 64 random hex digits, as Docker names its layers: the same nowhere else.
bool has_random_part(std::string_view path) {
    std::size_t run = 0;
    for (const char c : path) {
        const bool is_hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
        run = is_hex ? run + 1 : 0;
        if (run >= 32) return true;
    }
    return false;
}

enum class Members { nobody, ours, others };

// Who is in one control group: `ours` when we are there and nobody from outside
// of our pid namespace, `others` also where that cannot be seen.
Members listed_in(const std::filesystem::path& group) {
    bool sees_us = false;
    std::ifstream members(group / "cgroup.procs");
    if (!members.is_open()) return Members::others;
    // A process outside of our pid namespace is shown as 0.
    for (long pid = 0; members >> pid;) {
        if (pid == 0) return Members::others;
        if (pid == ::getpid()) sees_us = true;
    }
    if (members.bad()) return Members::others;
    return sees_us ? Members::ours : Members::nobody;
}

// In this one and those below it.
Members members_of(const std::string& point) {
    bool sees_us = false;
    int groups = 0;
    std::vector<std::filesystem::path> open{point};
    while (!open.empty()) {
        const std::filesystem::path group = std::move(open.back());
        open.pop_back();
        if (++groups > most_groups) return Members::others;
        const Members listed = listed_in(group);
        if (listed == Members::others) return listed;
        sees_us = sees_us || listed == Members::ours;
        std::error_code failure;
        for (const auto& entry : std::filesystem::directory_iterator(group, failure)) {
            if (entry.is_directory(failure) && !entry.is_symlink(failure))
                open.push_back(entry.path());
        }
        if (failure) return Members::others;
    }
    return sees_us ? Members::ours : Members::nobody;
}

}  // namespace

std::string container_of(std::string_view mountinfo, std::string_view boot_id) {
    std::string pod;
    std::string layer;
    each_line(mountinfo, [&](std::string_view line) {
        const auto mount = mount_of(line);
        if (!mount) return;
        // …/pods/<uid>/containers/<name>/<instance>: one of that name at a time in its pod.
        const std::size_t pods = mount->root.find("/pods/");
        const std::size_t containers =
            mount->root.find("/containers/", std::max<std::size_t>(pods, 1));
        if (mount->point == "/dev/termination-log" && pods != std::string_view::npos &&
            containers != std::string_view::npos) {
            const std::string_view rest = mount->root.substr(pods + 1);
            pod = "kubernetes:" + std::string(rest.substr(0, rest.rfind('/')));
        }
        if (mount->point != "/" || mount->type != "overlay") return;
        const std::size_t at = mount->options.find("upperdir=");
        if (at == std::string_view::npos) return;
        std::string_view upper = mount->options.substr(at + 9);
        upper = upper.substr(0, upper.find(','));
        layer = has_random_part(upper) ? fmt::format("layer:{}", upper)
                                       : fmt::format("layer:{}:{}", boot_id, upper);
    });
    return pod.empty() ? layer : pod;
}

registry::Place read_place(const Variable& variable) {
    registry::Place place;
    place.pid = ::getpid();
    place.uid = ::geteuid();
    place.is_first = place.pid == 1;
    if (const auto stat = child::read_stat(place.pid)) place.start_ticks = stat->start_time;
    const std::string boot(trimmed(text_of("/proc/sys/kernel/random/boot_id")));
    // A /proc of another namespace would show other processes than those that we could see.
    const std::string space = link_of("/proc/self/ns/pid");
    if (!boot.empty() && !space.empty() && link_of("/proc/self") == std::to_string(place.pid))
        place.pid_namespace = fmt::format("{}/{}", boot, space);
    place.container = container_of(text_of("/proc/self/mountinfo"), boot);
    if (place.container.empty()) place.container = platform_instance(variable);
    return place;
}

std::string platform_instance(const Variable& variable) {
    for (const char* name : {"FLY_MACHINE_ID", "RENDER_INSTANCE_ID"}) {
        const auto id = variable(name);
        if (id && !id->empty()) return fmt::format("{}:{}", name, *id);
    }
    return {};
}

Kinship kinship(const registry::InstanceFacts& other, const registry::InstanceFacts& us) {
    // A machine that was cloned, or a container with a copied file system, has another host name.
    if (other.id == us.id || other.host.empty() || other.host != us.host) return Kinship::none;
    if (!us.place.pid_namespace.empty() && other.place.pid_namespace == us.place.pid_namespace)
        return Kinship::same_namespace;
    const bool are_first = other.place.is_first && us.place.is_first;
    if (are_first && other.service == us.service && !us.place.container.empty() &&
        other.place.container == us.place.container)
        return Kinship::same_container;
    return Kinship::none;
}

bool is_alone_in_container() {
    // Version 2 in a namespace of our own; or each hierarchy of version 1, where what is mounted is
    // already the container's own part. On a whole host's tree there are others.
    const std::string mounts = text_of("/proc/self/mountinfo");
    std::vector<std::string> points;
    each_line(mounts, [&](std::string_view line) {
        const auto mount = mount_of(line);
        if (!mount) return;
        const bool is_whole = mount->type == "cgroup2" && mount->root == "/";
        if (is_whole || mount->type == "cgroup") points.emplace_back(mount->point);
    });
    bool sees_us = false;
    for (const std::string& point : points) {
        const Members seen = members_of(point);
        if (seen == Members::others) return false;
        if (seen == Members::ours) sees_us = true;
    }
    return sees_us;
}

}  // namespace muster::daemon
