#pragma once
// A log file and the older ones beside it: shap.log, shap.log.1 (the newest of them), shap.log.2 …,
// compressed shap.log.1.gz. Every call may block on a disk that hangs; so they are made in libuv's
// thread pool, by one thread at a time (LogFiles sees to it), but for open().

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace muster::logs {

struct Rotation {
    std::uint64_t size = 0;  // 0 = never
    std::uint32_t keep = 5;
    bool compress = false;
};

// A part of a file, chosen when its size is known.
struct FileSlice {
    std::uint64_t at = 0;
    std::uint64_t length = 0;
};
using ChooseSlice = std::function<FileSlice(std::uint64_t size)>;
struct FilePiece {
    std::string text;
    std::uint64_t size = 0;  // of the whole file
    int error = 0;           // errno
};
// What is no regular file is not there (ENOENT).
FilePiece read_piece(const std::string& path, const ChooseSlice& choose);

class RotatingFile {
public:
    // Appends to what is there.
    static Result<std::unique_ptr<RotatingFile>> open(std::string path, Rotation rotation);

    struct Written {
        std::size_t bytes = 0;
        int error = 0;  // errno, where not all was written
        bool must_wait =
            false;  // not all was written: it is time to rotate, and may_rotate is false
        bool has_rotated = false;
        bool is_new_again = false;              // somebody had removed the file, or its folder
        std::optional<Error> not_rotated = {};  // it goes on growing
    };
    // Rotates between two lines, before the file grows past its size; a single line, or what never
    // ends one, may pass it by up to 64 KiB. Where may_rotate is false it may become twice as
    // large.
    Written write(std::string_view bytes, bool may_rotate);

    // Another tool has moved it away: closes it and opens the path again.
    Outcome reopen();
    // Removes the file and begins a new one; older ones stay.
    Outcome clear();
    // The newest of the older ones, once, after a rotation. It takes 10 to 30 ms a MB.
    Outcome compress_newest();
    // The last bytes of the file, and of the one before it where it is shorter.
    [[nodiscard]] std::string tail(std::size_t bytes) const;

    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] const Rotation& rotation() const { return rotation_; }
    void set_rotation(Rotation rotation) { rotation_ = rotation; }
    [[nodiscard]] std::uint64_t device() const { return device_; }  // as it was at open()

private:
    RotatingFile(std::string path, Rotation rotation)
        : path_(std::move(path)), rotation_(rotation) {}
    Outcome take(UniqueFd fd);
    void look_whether_removed(Written& written);
    void rotate(Written& written);
    [[nodiscard]] bool is_full() const;
    [[nodiscard]] std::size_t part_that_fits(std::string_view bytes) const;
    [[nodiscard]] std::string older(std::uint32_t number) const;

    std::string path_;
    Rotation rotation_;
    UniqueFd fd_;
    std::uint64_t device_ = 0;
    std::uint64_t size_ = 0;
    std::uint64_t not_before_ =
        0;  // the size up to which a rotation that failed is not tried again
    bool is_at_line_end_ = true;
};

}  // namespace muster::logs
