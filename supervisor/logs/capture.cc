#include "logs/capture.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <span>
#include <utility>

#include "logs/child_output.h"

namespace muster::logs {

void Dropped::count(std::string_view text) {
    bytes += text.size();
    lines += static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\n'));
}

void Dropped::tell(Log& log, const CapturedStream& stream) {
    if (bytes == 0) return;
    log.warn("output-dropped", {{"process", stream.process},
                                {"stream", stream.key.is_stderr ? "stderr" : "stdout"},
                                {"bytes", std::to_string(std::exchange(bytes, 0))},
                                {"lines", std::to_string(std::exchange(lines, 0))}});
}

Capture::Capture(CaptureTools& tools,
                 CapturedStream stream,
                 UniqueFd pipe_read_end,
                 std::function<void()> done)
    : tools_(tools),
      stream_(std::move(stream)),
      format_(tools.format, stream_.process, stream_.key.is_stderr),
      fd_(std::move(pipe_read_end)),
      done_(std::move(done)) {
    watch_.emplace(tools.loop, fd_.get(), [this](bool, bool) { read_once(); });
    watch_->watch(true, false);
}

Capture::~Capture() {
    tools_.naps.forget(*this);
    tools_.writer.forget(*this);
    forward_partial();
    dropped_.tell(tools_.log, stream_);
}

void Capture::output_drained() {
    if (stream_.when_full == WhenFull::drop) return dropped_.tell(tools_.log, stream_);
    if (watch_) watch_->watch(true, false);
}

// Once a turn, so that one child that floods does not starve the others.
void Capture::read_once() {
    if (stream_.when_full == WhenFull::wait && tools_.writer.is_full()) {
        watch_->watch(false, false);
        tools_.writer.wait_for_room(*this);
        return;
    }
    const std::span<char> room = tools_.loop.read_buffer();
    const ssize_t got = read(fd_.get(), room.data(), room.size());
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return watch_->watch(true, false);
    if (got <= 0) return end();
    const auto size = static_cast<std::size_t>(got);
    took({room.data(), size});
    if (size < room.size()) {
        watch_->watch(false, false);
        tools_.naps.nap(*this);
    } else {
        watch_->watch(true, false);
    }
    if (size >= room.size() / 2 && !std::exchange(is_large_pipe_, true)) enlarge_pipe(fd_.get());
}

void Capture::took(std::string_view bytes) {
    tools_.tails.append(stream_.key, bytes);
    if (stream_.when_full == WhenFull::drop && tools_.writer.is_full()) return drop(bytes);
    if (skips_to_next_line_) {
        const auto end = bytes.find('\n');
        const std::size_t skipped = end == std::string_view::npos ? bytes.size() : end + 1;
        dropped_.count(bytes.substr(0, skipped));
        bytes.remove_prefix(skipped);
        if (end == std::string_view::npos) return;
        skips_to_next_line_ = false;
        dropped_.tell(tools_.log, stream_);
    }
    forward(bytes);
}

void Capture::drop(std::string_view bytes) {
    if (dropped_.bytes == 0) tools_.writer.wait_for_room(*this);
    dropped_.count(partial_);
    dropped_.count(bytes);
    partial_ = {};
    is_continued_ = false;
    skips_to_next_line_ = bytes.back() != '\n';
}

void Capture::forward(std::string_view bytes) {
    if (tools_.format == Format::json) time_ = tools_.stamp.now();
    tools_.writer.append_by([&](std::string& out) {
        for (;;) {
            const auto newline = bytes.find('\n');
            if (newline == std::string_view::npos) break;
            const std::string_view line = bytes.substr(0, newline);
            if (partial_.empty()) {
                put(out, line, true);
            } else {
                partial_ += line;
                put_partial(out, true);
            }
            bytes.remove_prefix(newline + 1);
        }
        partial_ += bytes;
        if (partial_.size() > longest_line) put_partial(out, false);
    });
}

// The length of the next piece of a line that is too long: no UTF-8 character is cut in two.
static std::size_t piece_of(std::string_view line) {
    std::size_t size = Capture::longest_line;
    for (int i = 0; i < 3 && (static_cast<unsigned char>(line[size]) & 0xc0) == 0x80; ++i) --size;
    const bool is_character = (static_cast<unsigned char>(line[size]) & 0xc0) == 0xc0;
    return is_character ? size : Capture::longest_line;
}

void Capture::put(std::string& out, std::string_view line, bool has_end) {
    while (line.size() > longest_line) {
        const std::size_t size = piece_of(line);
        format_.append(out, line.substr(0, size), time_, is_continued_);
        line.remove_prefix(size);
        is_continued_ = true;
    }
    if (has_end) {
        format_.append(out, line, time_, is_continued_);
        is_continued_ = false;
    } else {
        partial_ = std::string(line);
    }
}

void Capture::put_partial(std::string& out, bool has_end) {
    const std::string line = std::exchange(partial_, {});  // its memory, too
    put(out, line, has_end);
}

void Capture::forward_partial() {
    if (partial_.empty()) return;
    if (tools_.format == Format::json) time_ = tools_.stamp.now();
    tools_.writer.append_by([&](std::string& out) { put_partial(out, true); });
}

void Capture::end() {
    forward_partial();
    watch_.reset();
    fd_.close();
    const std::function<void()> done = std::move(done_);
    if (done) done();
}

}  // namespace muster::logs
