#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/log.h"
#include "base/unique_fd.h"
#include "logs/line_format.h"
#include "logs/nap.h"
#include "logs/output_writer.h"
#include "logs/stamp.h"
#include "logs/tails.h"
#include "loop/fd_watch.h"
#include "loop/loop.h"

namespace muster::logs {

// What all captures share; it outlives them.
struct CaptureTools {
    loop::Loop& loop;
    Log& log;
    OutputWriter& writer;
    Tails& tails;
    Format format = Format::text;
    Naps naps{loop};
    Stamp stamp = {};
};

enum class WhenFull : std::uint8_t { wait, drop };

struct CapturedStream {
    std::string process;  // "shap_00"
    StreamKey key;
    WhenFull when_full = WhenFull::wait;
};

// One stream of a child, until its end of file.
class AnyCapture {
public:
    AnyCapture() = default;
    AnyCapture(const AnyCapture&) = delete;
    AnyCapture& operator=(const AnyCapture&) = delete;
    virtual ~AnyCapture() = default;
};

// Dropped output, until it is told in one line.
struct Dropped {
    std::uint64_t bytes = 0;
    std::uint64_t lines = 0;

    void count(std::string_view text);
    void tell(Log& log, const CapturedStream& stream);  // nothing where nothing was dropped
};

// Forwards one stream of a child to our stdout, line by line. No byte is lost (I9): while the
// writer is full nothing is read, and the child waits; with WhenFull::drop it is read, dropped,
// counted and told. A line longer than 64 KiB becomes several, marked.
class Capture final : public AnyCapture, private OutputWriter::Waiter, private Naps::Napper {
public:
    static constexpr std::size_t longest_line = std::size_t{64} * 1024;

    // `done` comes once, at the end of file; it may destroy the Capture.
    Capture(CaptureTools& tools,
            CapturedStream stream,
            UniqueFd pipe_read_end,
            std::function<void()> done);
    Capture(const Capture&) = delete;
    Capture& operator=(const Capture&) = delete;
    ~Capture() override;

private:
    void output_drained() override;
    void woke() override { read_once(); }
    void read_once();
    void took(std::string_view bytes);
    void drop(std::string_view bytes);
    void forward(std::string_view bytes);
    void put(std::string& out, std::string_view line, bool has_end);
    void put_partial(std::string& out, bool has_end);
    void forward_partial();
    void end();

    CaptureTools& tools_;
    CapturedStream stream_;
    LineFormat format_;
    std::string partial_;        // the line that has no end yet; empty, without memory, otherwise
    std::string_view time_;      // of the lines that are being forwarded
    bool is_continued_ = false;  // a piece of this line has been forwarded
    bool skips_to_next_line_ = false;  // its beginning was dropped
    bool is_large_pipe_ = false;
    Dropped dropped_;
    UniqueFd fd_;
    std::function<void()> done_;
    std::optional<loop::FdWatch> watch_;  // until the end of file
};

}  // namespace muster::logs
