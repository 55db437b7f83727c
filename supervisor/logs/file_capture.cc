#include "logs/file_capture.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <span>
#include <utility>

#include "logs/pumping.h"

namespace muster::logs {

FileCapture::FileCapture(CaptureTools& tools,
                         LogFile& file,
                         CapturedStream stream,
                         UniqueFd pipe_read_end,
                         std::function<void()> done)
    : tools_(tools),
      file_(file),
      stream_(std::move(stream)),
      fd_(std::make_shared<UniqueFd>(std::move(pipe_read_end))),
      done_(std::move(done)) {
    file_.add();
    watch_.emplace(tools.loop, fd_->get(), [this](bool, bool) { readable(); });
    watch_->watch(true, false);
}

FileCapture::~FileCapture() {
    tools_.naps.forget(*this);
    watch_.reset();
    dropped_.tell(tools_.log, stream_);
    file_.forget(*this);
}

void FileCapture::readable() {
    if (stream_.when_full == WhenFull::drop && file_.is_in_trouble()) return drop();
    watch_->watch(false, false);
    if (!is_handed_over_) hand_over();
}

void FileCapture::hand_over() {
    is_handed_over_ = true;
    file_.ready(*this);
}

// Nothing came in the meantime: the kernel may wake us again. The end of file it tells, too.
void FileCapture::woke() {
    int bytes = 0;
    if (ioctl(fd_->get(), FIONREAD, &bytes) != 0 || bytes == 0) return watch_->watch(true, false);
    readable();
}

void FileCapture::pumped(Pumping& pumping) {
    held_ = std::string(pumping.buffer.get(), pumping.held);
    const bool is_written = pumping.result.error == 0 && !pumping.result.must_wait;
    tools_.naps.forget(*this);
    if (!is_written) {  // its turn comes when the file is better
        hand_over();
        if (pumping.result.error != 0) file_in_trouble();
        return;
    }
    dropped_.tell(tools_.log, stream_);
    is_large_pipe_ = pumping.is_large_pipe;
    is_handed_over_ = false;
    watch_->watch(false, false);
    if (pumping.is_at_end) return end();
    if (pumping.is_drained) return watch_->watch(true, false);
    if (pumping.is_short) return tools_.naps.nap(*this);
    hand_over();
}

void FileCapture::file_in_trouble() {
    if (stream_.when_full == WhenFull::drop) watch_->watch(true, false);
}

void FileCapture::drop() {
    const std::span<char> room = tools_.loop.read_buffer();
    const ssize_t got = read(fd_->get(), room.data(), room.size());
    if (got > 0) {
        dropped_.count({room.data(), static_cast<std::size_t>(got)});
        watch_->watch(false, false);
        return tools_.naps.nap(*this);
    }
    if (got < 0) return watch_->watch(true, false);
    // The end of file is left to the job that will write what is held.
    watch_->watch(false, false);
    if (!is_handed_over_) hand_over();
}

void FileCapture::end() {
    watch_.reset();
    const std::function<void()> done = std::move(done_);
    if (done) done();
}

}  // namespace muster::logs
