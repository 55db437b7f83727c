#include "logs/capture.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <span>
#include <utility>

namespace muster::logs {

Capture::Capture(loop::Loop& loop,
                 OutputWriter& writer,
                 std::string prefix,
                 UniqueFd pipe_read_end,
                 std::function<void()> done)
    : loop_(loop),
      writer_(writer),
      prefix_(std::move(prefix)),
      fd_(std::move(pipe_read_end)),
      done_(std::move(done)) {
    watch_.emplace(loop, fd_.get(), [this](bool, bool) { read_once(); });
    watch_->watch(true, false);
}

Capture::~Capture() {
    writer_.forget(*this);
    forward_partial();
}

void Capture::output_drained() {
    if (watch_) watch_->watch(true, false);
}

// Once a turn, so that one child that floods does not starve the others.
void Capture::read_once() {
    if (writer_.is_full()) {
        watch_->watch(false, false);
        writer_.wait_for_room(*this);
        return;
    }
    const std::span<char> room = loop_.read_buffer();
    const ssize_t size = read(fd_.get(), room.data(), room.size());
    if (size > 0) {
        forward({room.data(), static_cast<std::size_t>(size)});
        return;
    }
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
        watch_->watch(true, false);
        return;
    }
    end();
}

void Capture::forward(std::string_view bytes) {
    for (;;) {
        const auto newline = bytes.find('\n');
        if (newline == std::string_view::npos) break;
        const std::string_view line = bytes.substr(0, newline);
        if (partial_.empty()) {
            forward_line(line);
        } else {
            partial_ += line;
            forward_partial();
        }
        bytes.remove_prefix(newline + 1);
    }
    partial_ += bytes;
    while (partial_.size() > longest_line) {
        forward_line(std::string_view{partial_}.substr(0, longest_line));
        partial_.erase(0, longest_line);
    }
}

void Capture::forward_line(std::string_view line) {
    do {
        writer_.append(prefix_);
        writer_.append(line.substr(0, longest_line));
        writer_.append("\n");
        line.remove_prefix(std::min(line.size(), longest_line));
    } while (!line.empty());
}

void Capture::forward_partial() {
    if (partial_.empty()) return;
    forward_line(partial_);
    partial_ = std::string{};  // its memory too
}

void Capture::end() {
    forward_partial();
    watch_.reset();
    fd_.close();
    const std::function<void()> done = std::move(done_);
    if (done) done();
}

}  // namespace muster::logs
