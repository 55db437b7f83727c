#include "child/child_plan.h"

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "base/text.h"

namespace muster::child {

namespace {

constexpr std::size_t pid_digits = 10;
#ifdef MUSTER_STATIC
constexpr const char* where_to_create =
    "create it in /etc, where alone the static muster looks, or give its number";
#else
constexpr const char* where_to_create = "create it, or give its number";
#endif
constexpr std::string_view default_path = "/usr/local/bin:/usr/bin:/bin";

std::size_t room_for(std::string_view text) {
    const auto marks = std::count(text.begin(), text.end(), pid_marker);
    return text.size() + 1 + static_cast<std::size_t>(marks) * pid_digits;
}

std::vector<std::string> files_to_try(const ChildSpec& spec) {
    const std::string& command = spec.argv.front();
    if (command.find('/') != std::string::npos) return {command};
    std::string_view path = default_path;
    const auto look_in = [&path](std::span<const std::string> entries) {
        for (const std::string& entry : entries) {
            if (entry.starts_with("PATH=")) path = std::string_view(entry).substr(5);
        }
    };
    look_in(spec.inherited);
    look_in(spec.environment);
    std::vector<std::string> files;
    for (const std::string& folder : split(path, ':')) {
        files.push_back(folder.empty() ? command : fmt::format("{}/{}", folder, command));
    }
    return files;
}

std::optional<std::uint32_t> as_number(const std::string& text) {
    std::uint32_t number = 0;
    const auto end = std::from_chars(text.data(), text.data() + text.size(), number);
    if (end.ec != std::errc{} || end.ptr != text.data() + text.size()) return std::nullopt;
    return number;
}

Result<gid_t> resolve_group(const std::string& group) {
    if (const auto number = as_number(group)) return gid_t{*number};
    if (const struct group* entry = ::getgrnam(group.c_str())) return entry->gr_gid;
    return Error{fmt::format("there is no group {}", group), where_to_create};
}

std::vector<gid_t> groups_of(const std::string& user, gid_t group) {
    int count = 32;
    std::vector<gid_t> groups(static_cast<std::size_t>(count));
    while (::getgrouplist(user.c_str(), group, groups.data(), &count) < 0) {
        groups.resize(std::max(groups.size() * 2, static_cast<std::size_t>(count)));
        count = static_cast<int>(groups.size());
    }
    groups.resize(static_cast<std::size_t>(count));
    return groups;
}

}  // namespace

std::string with_pid(std::string_view text, Pid pid) {
    const std::string digits = fmt::format("{}", pid.value());
    std::string whole;
    for (const char c : text) {
        if (c == pid_marker) {
            whole += digits;
        } else {
            whole += c;
        }
    }
    return whole;
}

Result<Identity> resolve_identity(const std::string& user, const std::string& group) {
    const auto number = as_number(user);
    const struct passwd* entry = nullptr;
    if (user.empty()) {
        entry = ::getpwuid(::geteuid());
    } else if (number) {
        entry = ::getpwuid(*number);
    } else {
        entry = ::getpwnam(user.c_str());
    }
    if (entry == nullptr && !user.empty() && !number) {
        return Error{fmt::format("there is no user {}", user), where_to_create};
    }
    if (entry == nullptr && number && group.empty()) {
        return Error{fmt::format("user {} is not in the user database, so it has no group", user),
                     "give a group, too"};
    }
    Identity identity{.uid = user.empty() ? ::geteuid() : number.value_or(0),
                      .gid = ::getegid(),
                      .groups = {},
                      .user = user};
    std::string name;
    if (entry != nullptr) {
        name = entry->pw_name;
        identity.uid = entry->pw_uid;
        identity.gid = entry->pw_gid;
    }
    if (!group.empty()) {
        const auto gid = resolve_group(group);
        if (!gid) return gid.error();
        identity.gid = *gid;
    }
    identity.groups =
        name.empty() ? std::vector<gid_t>{identity.gid} : groups_of(name, identity.gid);
    if (identity.user.empty()) identity.user = name;
    return identity;
}

ChildPlan::ChildPlan(const ChildSpec& spec) : spec_(spec) {
    const std::vector<std::string> files = files_to_try(spec);
    std::size_t room = room_for(spec.directory);
    for (const auto* texts : {&spec.argv, &spec.environment, &files}) {
        for (const std::string& text : *texts) room += room_for(text);
    }
    text_.resize(room);  // once: the pointers into it must stay

    argv_.reserve(spec.argv.size() + 1);
    for (const std::string& text : spec.argv) argv_.push_back(keep(text));
    argv_.push_back(nullptr);
    environment_.reserve(spec.inherited.size() + spec.environment.size() + 1);
    // execve() takes char* for history's sake and writes nothing.
    for (const std::string& text : spec.inherited)
        environment_.push_back(const_cast<char*>(text.c_str()));
    for (const std::string& text : spec.environment) environment_.push_back(keep(text));
    environment_.push_back(nullptr);
    candidates_.reserve(files.size());
    for (const std::string& text : files) candidates_.push_back(keep(text));
    if (!spec.directory.empty()) directory_ = keep(spec.directory);
    if (spec.oom_score_adj) oom_score_adj_ = fmt::format("{}", *spec.oom_score_adj);

    // Whoever is that user already need not (and may not) change to it.
    const auto& identity = spec.identity;
    changes_identity_ = identity && (::geteuid() == 0 || identity->uid != ::geteuid() ||
                                     identity->gid != ::getegid());
}

char* ChildPlan::keep(std::string_view text) {
    char* const kept = text_.data() + used_;
    std::memcpy(kept, text.data(), text.size());
    kept[text.size()] = '\0';
    used_ += room_for(text);
    if (text.find(pid_marker) != std::string_view::npos) marked_.push_back({kept, text.size()});
    return kept;
}

void ChildPlan::write_pid(pid_t pid) noexcept {
    char digits[pid_digits];
    std::size_t count = 0;
    for (pid_t rest = pid; rest > 0 && count < pid_digits; rest /= 10) {
        digits[pid_digits - ++count] = static_cast<char>('0' + rest % 10);
    }
    const char* const first = digits + (pid_digits - count);
    for (Marked& text : marked_) {
        char* at = text.begin;
        char* end = text.begin + text.length + 1;  // with its zero
        while ((at = static_cast<char*>(
                    std::memchr(at, pid_marker, static_cast<std::size_t>(end - at)))) != nullptr) {
            std::memmove(at + count, at + 1, static_cast<std::size_t>(end - at - 1));
            std::memcpy(at, first, count);
            at += count;
            end += count - 1;
        }
    }
}

}  // namespace muster::child
