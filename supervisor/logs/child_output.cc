#include "logs/child_output.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>

#include "base/text.h"

namespace muster::logs {

namespace {

Error not_opened(const std::string& path, int code) {
    return errno_error("opening the log file " + path, code,
                       code == ENXIO ? "it is a FIFO or a device that nobody reads" : "");
}

// By path they would be opened anew, which fails for a socket and starts a file from its beginning.
std::optional<int> own_descriptor(const std::string& path) {
    if (path == "/dev/stdout" || path == "/dev/fd/1" || path == "/proc/self/fd/1")
        return STDOUT_FILENO;
    if (path == "/dev/stderr" || path == "/dev/fd/2" || path == "/proc/self/fd/2")
        return STDERR_FILENO;
    return std::nullopt;
}

}  // namespace

Result<OutputPipe> make_pipe() {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0)
        return errno_error("making a pipe for a child's output", errno);
    OutputPipe pipe{UniqueFd{ends[0]}, UniqueFd{ends[1]}};
    // The two ends are two open files: the child's stays blocking.
    if (fcntl(pipe.read.get(), F_SETFL, O_RDONLY | O_NONBLOCK) != 0)
        return errno_error("making a pipe for a child's output", errno);
    return pipe;
}

Result<OutputPipe> make_input_pipe() {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0)
        return errno_error("making a pipe for a child's input", errno);
    OutputPipe pipe{UniqueFd{ends[0]}, UniqueFd{ends[1]}};
    if (fcntl(pipe.write.get(), F_SETFL, O_WRONLY | O_NONBLOCK) != 0)
        return errno_error("making a pipe for a child's input", errno);
    return pipe;
}

void enlarge_pipe(int fd) {
    constexpr int large = 1024 * 1024;
    static_cast<void>(fcntl(fd, F_SETPIPE_SZ, large));
}

bool is_special_file(const std::string& path) {
    struct stat info {};
    return own_descriptor(path) || (stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode));
}

Result<UniqueFd> open_log_file(const std::string& path) {
    if (const auto own = own_descriptor(path)) {
        UniqueFd fd{fcntl(*own, F_DUPFD_CLOEXEC, STDERR_FILENO + 1)};
        if (!fd.is_open()) return not_opened(path, errno);
        return fd;
    }
    constexpr mode_t mode = 0640;
    // O_NONBLOCK for the open alone: a FIFO without a reader would hold us here.
    UniqueFd fd{open(path.c_str(),
                     O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, mode)};
    if (!fd.is_open()) return not_opened(path, errno);
    if (fcntl(fd.get(), F_SETFL, O_WRONLY | O_APPEND) != 0) return not_opened(path, errno);
    return fd;
}

}  // namespace muster::logs
