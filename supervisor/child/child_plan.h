#pragma once
// Everything that a child needs between clone and exec, as ready pointers: the child shares our
// memory and may neither allocate nor lock nor log.

#include <sys/resource.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/id.h"
#include "base/result.h"

namespace muster::child {

// Stands in argv, environment and directory for the child's own pid, which nobody knows before the
// clone: the child writes the digits itself. Whoever needs the same text uses with_pid().
inline constexpr char pid_marker = '\x01';
std::string with_pid(std::string_view text, Pid pid);

struct Identity {
    uid_t uid;
    gid_t gid;
    std::vector<gid_t> groups;
    std::string user;  // for error sentences
};
// Names or numbers. An empty user is our own, an empty group the user's. Reads the user database,
// which may be slow (I8): call it while loading, never for a spawn.
Result<Identity> resolve_identity(const std::string& user, const std::string& group);

struct ResourceLimit {
    int resource;  // RLIMIT_…
    std::uint64_t soft;
    std::uint64_t hard;
};

struct Inherit {};
struct Null {};
struct ToFd {
    int fd;  // borrowed for the spawn only; close yours after it, or its reader never sees EOF
};
using OutputTarget = std::variant<Inherit, Null, ToFd>;

struct ChildSpec {
    std::vector<std::string> argv;  // never empty; argv[0] is searched in the child's PATH
    std::span<const std::string>
        inherited;  // "KEY=value" that all children share: borrowed, taken as it is
    std::vector<std::string> environment;  // and what is this child's own
    std::string directory;                 // "" = ours
    std::optional<Identity> identity;      // absent = ours
    std::optional<mode_t> umask;
    std::vector<ResourceLimit> limits;
    std::optional<int> nice;
    std::optional<int> oom_score_adj;
    bool gets_our_stdin = false;    // else /dev/null, or
    std::optional<int> stdin_from;  // borrowed for the spawn only
    OutputTarget stdout_to = Inherit{};
    OutputTarget stderr_to = Inherit{};
};

// Lives from just before the spawn to just after it; the child writes into it.
class ChildPlan {
public:
    explicit ChildPlan(const ChildSpec& spec);  // the spec is borrowed and must outlive the plan
    ChildPlan(const ChildPlan&) = delete;
    ChildPlan& operator=(const ChildPlan&) = delete;
    ~ChildPlan() = default;

    [[nodiscard]] const ChildSpec& spec() const { return spec_; }
    [[nodiscard]] char* const* argv() const { return argv_.data(); }
    [[nodiscard]] char* const* environment() const { return environment_.data(); }
    [[nodiscard]] const char* directory() const { return directory_; }  // null: ours
    [[nodiscard]] const char* oom_score_adj() const {
        return spec_.oom_score_adj ? oom_score_adj_.c_str() : nullptr;
    }
    [[nodiscard]] bool changes_identity() const { return changes_identity_; }
    // The files to try to execute, in this order.
    [[nodiscard]] std::span<char* const> candidates() const { return candidates_; }

    void write_pid(pid_t pid) noexcept;  // by the child: no allocation

private:
    char* keep(std::string_view text);

    struct Marked {
        char* begin;
        std::size_t length;
    };

    const ChildSpec& spec_;
    std::vector<char> text_;  // all strings, one after the other
    std::size_t used_ = 0;
    std::vector<char*> argv_;  // null-terminated, as execve wants it
    std::vector<char*> environment_;
    std::vector<char*> candidates_;
    std::vector<Marked> marked_;  // the strings that have a pid_marker
    char* directory_ = nullptr;
    std::string oom_score_adj_;
    bool changes_identity_ = false;
};

}  // namespace muster::child
