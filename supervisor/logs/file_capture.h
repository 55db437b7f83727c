#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/unique_fd.h"
#include "logs/capture.h"
#include "logs/log_files.h"
#include "logs/nap.h"
#include "loop/fd_watch.h"

namespace muster::logs {

// One stream of a child into a LogFile, byte by byte as it is. No byte is lost (I9): while the file
// takes nothing the child waits; with WhenFull::drop its output is read, dropped, counted and told.
class FileCapture final : public AnyCapture, private Naps::Napper {
public:
    // `done` comes once, when everything up to the end of file is written (or, for a file that
    // takes nothing, never); it may destroy the FileCapture.
    FileCapture(CaptureTools& tools,
                LogFile& file,
                CapturedStream stream,
                UniqueFd pipe_read_end,
                std::function<void()> done);
    FileCapture(const FileCapture&) = delete;
    FileCapture& operator=(const FileCapture&) = delete;
    ~FileCapture() override;

private:
    friend class LogFile;

    void woke() override;
    void readable();
    void pumped(Pumping& pumping);  // by the LogFile, which touches this no more afterwards
    void file_in_trouble();         // and the job of this, if any, will not come back soon
    void hand_over();
    void drop();
    void end();

    CaptureTools& tools_;
    LogFile& file_;
    CapturedStream stream_;
    bool is_handed_over_ = false;  // a job has the pipe, or will have it
    std::string held_;             // read and not written yet; at most one buffer
    bool is_large_pipe_ = false;
    Dropped dropped_;
    std::shared_ptr<UniqueFd> fd_;  // a job has it, too
    std::function<void()> done_;
    std::optional<loop::FdWatch> watch_;
};

}  // namespace muster::logs
