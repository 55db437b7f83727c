#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/unique_fd.h"
#include "logs/output_writer.h"
#include "loop/fd_watch.h"
#include "loop/loop.h"

namespace muster::logs {

// Forwards one stream of a child, line by line, each with a prefix such as "shap_00 | ", until end
// of file. No byte is lost (I9): while the writer is full nothing is read, and the child waits. The
// bytes of a line are passed on as they are; one longer than 64 KiB becomes several lines.
class Capture final : private OutputWriter::Waiter {
public:
    static constexpr std::size_t longest_line = std::size_t{64} * 1024;

    // `done` comes once, at the end of file; it may destroy the Capture.
    Capture(loop::Loop& loop,
            OutputWriter& writer,
            std::string prefix,
            UniqueFd pipe_read_end,
            std::function<void()> done);
    Capture(const Capture&) = delete;
    Capture& operator=(const Capture&) = delete;
    ~Capture();

private:
    void output_drained() override;
    void read_once();
    void forward(std::string_view bytes);
    void forward_line(std::string_view line);
    void forward_partial();
    void end();

    loop::Loop& loop_;
    OutputWriter& writer_;
    std::string prefix_;
    std::string partial_;  // the line that has no end yet; empty, without memory, otherwise
    UniqueFd fd_;
    std::function<void()> done_;
    std::optional<loop::FdWatch> watch_;  // until the end of file
};

}  // namespace muster::logs
