#include "control/control_socket.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/text.h"
#include "base/unique_fd.h"

namespace muster::control {

namespace {

constexpr std::string_view other_path = "name another path: `control` in [supervisor], or -s PATH";

std::string folder_of(const std::string& path) {
    const auto slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

// In a folder that everybody may write to (/tmp), somebody else may have put the folder there
// first, or a link to another place.
bool is_shared(const std::string& folder) {
    struct stat about {};
    return stat(folder.c_str(), &about) == 0 && (about.st_mode & S_IWOTH) != 0;
}

Outcome check_folder(const std::string& folder) {
    struct stat about {};
    if (lstat(folder.c_str(), &about) != 0)
        return Error{fmt::format("the folder {}: {}", folder, errno_text(errno)),
                     std::string(other_path)};
    const bool is_link = S_ISLNK(about.st_mode);
    if (is_shared(folder_of(folder))) {
        if (is_link || (about.st_uid != geteuid() && about.st_uid != 0))
            return Error{fmt::format("{} was put there by somebody else", folder),
                         "remove it, or " + std::string(other_path)};
    }
    if (is_link && stat(folder.c_str(), &about) != 0)
        return Error{fmt::format("the folder {}: {}", folder, errno_text(errno)),
                     std::string(other_path)};
    if (!S_ISDIR(about.st_mode))
        return Error{fmt::format("{} is not a folder", folder), std::string(other_path)};
    if (access(folder.c_str(), W_OK | X_OK) != 0)
        return Error{
            fmt::format("the folder {} cannot be written to: {}", folder, errno_text(errno)),
            "give muster's user the right to write there, or " + std::string(other_path)};
    return Done{};
}

Outcome make_folder(const std::string& folder) {
    for (std::size_t at = 0; at != std::string::npos;) {
        at = folder.find('/', at + 1);
        const std::string part = folder.substr(0, at);
        if (mkdir(part.c_str(), 0700) == 0) continue;
        const int code = errno;
        struct stat about {};
        // mkdir of what is there may also say EROFS or EACCES.
        if (stat(part.c_str(), &about) == 0 && S_ISDIR(about.st_mode)) continue;
        if (code == EEXIST || code == ENOTDIR)
            return Error{fmt::format("{} is not a folder", part), std::string(other_path)};
        return Error{fmt::format("making the folder {}: {}", part, errno_text(code)),
                     "make it for muster's user, or " + std::string(other_path)};
    }
    return check_folder(folder);
}

// Somebody listens there. A socket that a dead process left behind refuses.
bool is_live(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    const UniqueFd probe{socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    return connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ||
           errno == EAGAIN;  // its backlog is full
}

// Two that start at the same time could each take the other's socket, not yet listening, for a
// stale one. The lock is held for the moment of the opening; a holder that hangs is not waited for.
UniqueFd lock_folder(const std::string& folder) {
    UniqueFd fd{open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    for (int tries = 0; tries < 50 && flock(fd.get(), LOCK_EX | LOCK_NB) != 0; ++tries) {
        if (errno != EWOULDBLOCK) break;
        usleep(2000);
    }
    return fd;
}

Outcome check_name(const std::string& path) {
    constexpr std::size_t longest = sizeof(sockaddr_un{}.sun_path) - 1;
    if (path.empty() || path.back() == '/')
        return Error{fmt::format("'{}' is not the path of a file", path), std::string(other_path)};
    if (path.size() > longest)
        return Error{
            fmt::format("the path has {} bytes, a socket's can have {}", path.size(), longest),
            "name a shorter path: `control` in [supervisor], or -s PATH"};
    return Done{};
}

Outcome check_what_is_there(const std::string& path) {
    struct stat about {};
    if (lstat(path.c_str(), &about) == 0 && !S_ISSOCK(about.st_mode))
        return Error{
            S_ISDIR(about.st_mode) ? "it is a folder" : "a file that is no socket is there",
            "remove it, or " + std::string(other_path)};
    if (is_live(path))
        return Error{"another supervisor answers there",
                     "stop it (muster shutdown), or " + std::string(other_path)};
    return Done{};
}

}  // namespace

Result<std::unique_ptr<ControlSocket>> ControlSocket::open(loop::Loop& loop,
                                                           const std::string& path,
                                                           Accepted accepted) {
    const std::string what = fmt::format("opening the control socket {}", path);
    const std::string folder = folder_of(path);
    Outcome checked = check_name(path);
    if (checked) checked = make_folder(folder);
    if (!checked) return checked.error().while_doing(what);
    const UniqueFd lock = lock_folder(folder);
    checked = check_what_is_there(path);
    if (!checked) return checked.error().while_doing(what);
    auto listener = loop::Listener::listen_unix(loop, path, 0600, std::move(accepted));
    if (!listener) return listener.error().while_doing(what);
    return std::unique_ptr<ControlSocket>(new ControlSocket(path, std::move(*listener)));
}

ControlSocket::ControlSocket(std::string path, std::unique_ptr<loop::Listener> listener)
    : path_(std::move(path)), listener_(std::move(listener)) {}

}  // namespace muster::control
