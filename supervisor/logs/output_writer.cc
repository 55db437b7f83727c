#include "logs/output_writer.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <utility>

namespace muster::logs {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t worth_keeping = std::size_t{64} * 1024;  // of an empty queue's memory

}  // namespace

OutputWriter::OutputWriter(loop::Loop& loop, int fd, PipeWrites pipe_writes)
    : loop_(loop),
      fd_(fd),
      kind_(kind_of(fd)),
      pipe_writes_(pipe_writes),
      retry_(loop, [this] { flush(); }),
      end_of_turn_(loop, [this] {
          if (state_ == State::open) flush();
      }) {}

OutputWriter::Kind OutputWriter::kind_of(int fd) {
    struct stat info {};
    if (fstat(fd, &info) != 0) return Kind::plain;  // the first write will tell
    if (S_ISFIFO(info.st_mode)) return Kind::pipe;
    if (S_ISSOCK(info.st_mode)) return Kind::socket;
    return isatty(fd) != 0 ? Kind::terminal : Kind::plain;
}

void OutputWriter::appended(std::size_t before) {
    if (queue_.size() == before) return;
    if (state_ == State::gone) {
        discarded_ += queue_.size() - before;
        queue_.clear();
        return;
    }
    if (state_ == State::open) end_of_turn_.arm();
}

void OutputWriter::wait_for_room(Waiter& waiter) {
    waiters_.push_back(&waiter);
}

void OutputWriter::forget(Waiter& waiter) {
    std::erase(waiters_, &waiter);
}

void OutputWriter::flush() {
    state_ = State::open;
    Progress progress = Progress::wrote;
    while (queued() > 0 && progress == Progress::wrote) progress = write_some();
    forget_written();
    switch (progress) {
        case Progress::wrote:
            break;
        case Progress::must_wait:
            wait_until_writable();
            break;
        case Progress::failed_for_now:
            state_ = State::retrying;
            retry_.arm(loop_.now() + 1s);
            break;
        case Progress::reader_gone:
            give_up();
            break;
    }
    if (state_ != State::waiting && writable_) writable_->watch(false, false);
    tell_waiters();
}

OutputWriter::Progress OutputWriter::write_some() {
    const ssize_t size = write_now(std::string_view{queue_}.substr(written_));
    if (size >= 0) {
        written_ += static_cast<std::size_t>(size);
        return Progress::wrote;
    }
    switch (errno) {
        case EINTR:
            return Progress::wrote;
        case EAGAIN:
            return Progress::must_wait;
        case ENOSPC:
        case EDQUOT:
        case EFBIG:
        case ENOBUFS:
        case ENOMEM:
            return Progress::failed_for_now;
        default:  // EPIPE, EIO, EBADF …: nobody will read this any more
            return Progress::reader_gone;
    }
}

ssize_t OutputWriter::write_now(std::string_view bytes) {
    switch (kind_) {
        case Kind::plain:
            return write(fd_, bytes.data(), bytes.size());
        case Kind::socket:
            return send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        case Kind::pipe:
            if (pipe_writes_ == PipeWrites::flagged) {
                const iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
                const ssize_t size = pwritev2(fd_, &piece, 1, -1, RWF_NOWAIT);
                if (size >= 0 || errno == EAGAIN || errno == EPIPE || errno == EINTR) return size;
                pipe_writes_ = PipeWrites::small;
            }
            // A pipe that polls as writable has a free page.
            return write_if_ready(bytes.substr(0, PIPE_BUF));
        case Kind::terminal:
            return write_if_ready(bytes.substr(0, 512));
    }
    std::abort();
}

// Not quite safe from waiting: a child that has inherited the descriptor may fill it in between.
ssize_t OutputWriter::write_if_ready(std::string_view bytes) {
    pollfd ready{.fd = fd_, .events = POLLOUT, .revents = 0};
    if (poll(&ready, 1, 0) <= 0) {
        errno = EAGAIN;
        return -1;
    }
    return write(fd_, bytes.data(), bytes.size());
}

void OutputWriter::forget_written() {
    if (queued() == 0) {
        written_ = 0;
        queue_.clear();
        if (queue_.capacity() > worth_keeping) queue_.shrink_to_fit();  // `= {}` would keep it all
    } else if (written_ >= full_at) {
        queue_.erase(0, std::exchange(written_, 0));
    }
}

void OutputWriter::give_up() {
    state_ = State::gone;
    discarded_ += queued();
    queue_.clear();
    queue_.shrink_to_fit();
    written_ = 0;
}

void OutputWriter::wait_until_writable() {
    state_ = State::waiting;
    if (!writable_) {
        epoll_ = UniqueFd{epoll_create1(EPOLL_CLOEXEC)};
        epoll_event event{.events = EPOLLOUT, .data = {}};
        if (!epoll_.is_open() || epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd_, &event) != 0) {
            epoll_.close();  // no descriptor left just now
            state_ = State::retrying;
            retry_.arm(loop_.now() + 100ms);
            return;
        }
        writable_.emplace(loop_, epoll_.get(), [this](bool, bool) { flush(); });
    }
    writable_->watch(true, false);
}

void OutputWriter::tell_waiters() {
    while (!waiters_.empty() && queued() < full_at / 2) {
        Waiter* waiter = waiters_.back();
        waiters_.pop_back();
        waiter->output_drained();
    }
}

bool OutputWriter::finish(Duration patience) {
    const TimePoint deadline = loop_.now() + patience;
    while (queued() > 0) {
        const Progress progress = write_some();
        if (progress == Progress::wrote) continue;
        if (progress != Progress::must_wait) return false;
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - loop_.now());
        if (left <= 0ms) return false;
        pollfd ready{.fd = fd_, .events = POLLOUT, .revents = 0};
        poll(&ready, 1, static_cast<int>(std::min<std::int64_t>(left.count(), INT_MAX)));
    }
    forget_written();
    return true;
}

}  // namespace muster::logs
