#include "logs/rotating_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/text.h"
#include "logs/child_output.h"

namespace muster::logs {

namespace {

constexpr std::uint64_t longest_line = std::uint64_t{64} * 1024;
constexpr mode_t folder_mode = 0755;

bool make_folders_of(const std::string& path) {
    for (std::size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1)) {
        if (mkdir(path.substr(0, at).c_str(), folder_mode) != 0 && errno != EEXIST) return false;
    }
    return true;
}

int renamed(const std::string& from, const std::string& to) {
    return rename(from.c_str(), to.c_str()) == 0 ? 0 : errno;
}

std::string end_of(const std::string& path, std::size_t bytes) {
    return read_piece(path,
                      [bytes](std::uint64_t size) {
                          const std::uint64_t length = std::min<std::uint64_t>(bytes, size);
                          return FileSlice{size - length, length};
                      })
        .text;
}

Outcome write_compressed(int from, gzFile to) {
    std::string buffer(longest_line, '\0');
    for (;;) {
        const ssize_t size = read(from, buffer.data(), buffer.size());
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return Error{errno_text(errno)};
        if (size == 0) return Done{};
        errno = 0;
        if (gzwrite(to, buffer.data(), static_cast<unsigned>(size)) != size)
            return Error{errno != 0 ? errno_text(errno) : "zlib refused it"};
    }
}

}  // namespace

FilePiece read_piece(const std::string& path, const ChooseSlice& choose) {
    FilePiece piece;
    const UniqueFd fd{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)};
    struct stat info {};
    if (!fd.is_open() || fstat(fd.get(), &info) != 0) {
        piece.error = errno;
        return piece;
    }
    if (!S_ISREG(info.st_mode)) {
        piece.error = ENOENT;
        return piece;
    }
    piece.size = static_cast<std::uint64_t>(info.st_size);
    const FileSlice slice = choose(piece.size);
    if (slice.at >= piece.size) return piece;
    std::string text(std::min(slice.length, piece.size - slice.at), '\0');
    std::size_t got = 0;
    while (got < text.size()) {
        const auto at = static_cast<off_t>(slice.at + got);
        const ssize_t part = pread(fd.get(), text.data() + got, text.size() - got, at);
        if (part < 0 && errno == EINTR) continue;
        if (part < 0) piece.error = errno;
        if (part <= 0) break;
        got += static_cast<std::size_t>(part);
    }
    text.resize(got);
    piece.text = std::move(text);
    return piece;
}

Result<std::unique_ptr<RotatingFile>> RotatingFile::open(std::string path, Rotation rotation) {
    auto fd = open_log_file(path);
    if (!fd) return fd.error();
    std::unique_ptr<RotatingFile> file{new RotatingFile(std::move(path), rotation)};
    if (auto taken = file->take(std::move(*fd)); !taken) return taken.error();
    return file;
}

Outcome RotatingFile::take(UniqueFd fd) {
    struct stat info {};
    if (fstat(fd.get(), &info) != 0)
        return Error{fmt::format("looking at the log file {}: {}", path_, errno_text(errno))};
    device_ = info.st_dev;
    size_ = static_cast<std::uint64_t>(info.st_size);
    not_before_ = 0;
    is_at_line_end_ = true;
    fd_ = std::move(fd);
    return Done{};
}

Outcome RotatingFile::reopen() {
    auto fd = open_log_file(path_);
    if (!fd && make_folders_of(path_)) fd = open_log_file(path_);
    if (!fd) return fd.error();
    return take(std::move(*fd));
}

Outcome RotatingFile::clear() {
    if (unlink(path_.c_str()) != 0 && errno != ENOENT)
        return Error{fmt::format("clearing the log file {}: {}", path_, errno_text(errno))};
    return reopen();
}

// What is written to a removed file is lost for everybody. One that was only moved is its mover's.
void RotatingFile::look_whether_removed(Written& written) {
    struct stat info {};
    if (fstat(fd_.get(), &info) != 0 || info.st_nlink > 0) return;
    const auto reopened = reopen();
    written.is_new_again = reopened.ok();
    if (!reopened) written.error = ENOENT;
}

RotatingFile::Written RotatingFile::write(std::string_view bytes, bool may_rotate) {
    Written written;
    look_whether_removed(written);
    while (written.bytes < bytes.size() && written.error == 0) {
        if (is_full()) {
            if (may_rotate) {
                rotate(written);
                may_rotate = !rotation_.compress;  // one is compressed after the other
            } else if (size_ >= 2 * rotation_.size) {
                written.must_wait = true;
                return written;
            }
        }
        const std::string_view rest = bytes.substr(written.bytes);
        const std::string_view part =
            rest.substr(0, may_rotate ? part_that_fits(rest) : rest.size());
        const ssize_t size = ::write(fd_.get(), part.data(), part.size());
        if (size > 0) {
            written.bytes += static_cast<std::size_t>(size);
            size_ += static_cast<std::uint64_t>(size);
            is_at_line_end_ = part[static_cast<std::size_t>(size) - 1] == '\n';
        } else if (errno != EINTR) {
            written.error = size < 0 ? errno : EIO;
        }
    }
    return written;
}

bool RotatingFile::is_full() const {
    if (rotation_.size == 0 || size_ < std::max(rotation_.size, not_before_)) return false;
    return is_at_line_end_ || size_ >= rotation_.size + longest_line;
}

std::size_t RotatingFile::part_that_fits(std::string_view bytes) const {
    if (rotation_.size == 0) return bytes.size();
    const std::uint64_t limit = std::max(rotation_.size, not_before_);
    const std::size_t room =
        size_ >= limit
            ? 0
            : static_cast<std::size_t>(std::min<std::uint64_t>(limit - size_, bytes.size()));
    if (room == bytes.size()) return room;
    const auto last = room == 0 ? std::string_view::npos : bytes.rfind('\n', room - 1);
    if (last != std::string_view::npos) return last + 1;
    // The one line that passes the limit; and one after which there was no room for another.
    const auto next = bytes.find('\n', room);
    const std::size_t most = std::min<std::size_t>(bytes.size(), room + longest_line);
    return next == std::string_view::npos ? most : std::min(most, next + 1);
}

std::string RotatingFile::older(std::uint32_t number) const {
    return fmt::format("{}.{}", path_, number);
}

void RotatingFile::rotate(Written& written) {
    const auto failed = [&](const std::string& why) {
        not_before_ = size_ + rotation_.size;
        written.not_rotated = Error{fmt::format("rotating the log file {}: {}", path_, why),
                                    "it goes on growing, and is tried again after as much again"};
    };
    if (rotation_.keep == 0) {
        if (ftruncate(fd_.get(), 0) != 0) return failed(errno_text(errno));
        size_ = not_before_ = 0;
        written.has_rotated = true;
        return;
    }
    for (const std::string_view end : {"", ".gz"}) {
        unlink(older(rotation_.keep).append(end).c_str());
        for (std::uint32_t i = rotation_.keep; i > 1; --i) {
            const int code = renamed(older(i - 1).append(end), older(i).append(end));
            if (code != 0 && code != ENOENT) return failed(errno_text(code));
        }
    }
    if (const int code = renamed(path_, older(1)); code != 0) return failed(errno_text(code));
    auto fd = open_log_file(path_);
    if (!fd) {
        static_cast<void>(renamed(older(1), path_));
        return failed(fd.error().message());
    }
    static_cast<void>(take(std::move(*fd)));
    written.has_rotated = true;
}

Outcome RotatingFile::compress_newest() {
    const std::string plain = older(1);
    const std::string part = plain + ".gz.part";
    const UniqueFd from{::open(plain.c_str(), O_RDONLY | O_CLOEXEC)};
    constexpr mode_t mode = 0640;
    UniqueFd to{::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)};
    const auto failed = [&](const std::string& why) {
        unlink(part.c_str());
        return Error{fmt::format("compressing the log file {}: {}", plain, why),
                     "it stays as it is"};
    };
    if (!from.is_open() || !to.is_open()) return failed(errno_text(errno));
    gzFile zipped = gzdopen(to.get(), "wb");
    if (zipped == nullptr) return failed("zlib has no memory");
    static_cast<void>(to.release());
    const auto done = write_compressed(from.get(), zipped);
    errno = 0;
    const int closed = gzclose(zipped);
    if (!done) return failed(done.error().message());
    if (closed != Z_OK) return failed(errno != 0 ? errno_text(errno) : "zlib could not end it");
    if (const int code = renamed(part, plain + ".gz"); code != 0) return failed(errno_text(code));
    unlink(plain.c_str());
    return Done{};
}

std::string RotatingFile::tail(std::size_t bytes) const {
    std::string text = end_of(path_, bytes);
    if (text.size() < bytes && rotation_.keep > 0)
        text.insert(0, end_of(older(1), bytes - text.size()));
    return text;
}

}  // namespace muster::logs
