#pragma once
// The one owner of our stdout. It never waits for the reader, and never sets O_NONBLOCK: that flag
// belongs to the open file, which our children and whoever started us share.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"
#include "loop/fd_watch.h"
#include "loop/loop.h"
#include "loop/prepare.h"
#include "loop/timer.h"

namespace muster::logs {

class OutputWriter {
public:
    // Somebody who holds text back while the writer is full.
    class Waiter {
    public:
        Waiter() = default;
        Waiter(const Waiter&) = delete;
        Waiter& operator=(const Waiter&) = delete;
        virtual void output_drained() = 0;  // not from inside append()

    protected:
        ~Waiter() = default;
    };

    static constexpr std::size_t full_at = std::size_t{256} * 1024;  // captures stop reading
    static constexpr std::size_t events_until =
        std::size_t{1024} * 1024;  // our own events are dropped

    // How a pipe is written without waiting: by a flag of the single write, which pipes know since
    // Linux 6.4, or by no more than fits for certain.
    enum class PipeWrites : std::uint8_t { flagged, small };

    // The descriptor is borrowed.
    OutputWriter(loop::Loop& loop, int fd, PipeWrites pipe_writes = PipeWrites::flagged);

    // All text of a turn is written together, at its end. Never dropped: the caller looks at
    // is_full() and holds back what it can.
    void append(std::string_view bytes) {
        append_by([bytes](std::string& out) { out += bytes; });
    }
    // The same, for text that is made in place: fill(std::string& out) may only append.
    template <class Fill>
    void append_by(Fill fill) {
        const std::size_t before = queue_.size();
        fill(queue_);
        appended(before);
    }
    [[nodiscard]] bool is_full() const { return queued() >= full_at; }
    [[nodiscard]] bool accepts_events() const { return queued() <= events_until; }
    [[nodiscard]] std::size_t queued() const { return queue_.size() - written_; }

    // output_drained() comes once, when there is room again.
    void wait_for_room(Waiter& waiter);
    void forget(Waiter& waiter);

    // For the very end of the process, when no loop runs any more: waits for the reader, at most so
    // long. False where something could not be written.
    bool finish(Duration patience);

    // What nobody will ever read: the reader has gone away.
    [[nodiscard]] std::uint64_t discarded_bytes() const { return discarded_; }

private:
    enum class Kind : std::uint8_t { pipe, socket, terminal, plain };
    enum class State : std::uint8_t { open, waiting, retrying, gone };
    enum class Progress : std::uint8_t { wrote, must_wait, failed_for_now, reader_gone };

    static Kind kind_of(int fd);
    void appended(std::size_t before);
    void flush();
    Progress write_some();
    ssize_t write_now(std::string_view bytes);
    ssize_t write_if_ready(std::string_view bytes);
    void forget_written();
    void give_up();
    void wait_until_writable();
    void tell_waiters();

    loop::Loop& loop_;
    int fd_;
    Kind kind_;
    State state_ = State::open;
    PipeWrites pipe_writes_;  // small from when flagged was refused
    std::string queue_;
    std::size_t written_ = 0;  // this much of the queue's start
    std::uint64_t discarded_ = 0;
    std::vector<Waiter*> waiters_;
    UniqueFd epoll_;  // holds fd_: watching fd_ itself would make it non-blocking
    std::optional<loop::FdWatch> writable_;  // made when it is first needed
    loop::Timer retry_;
    loop::Prepare end_of_turn_;
};

}  // namespace muster::logs
