#pragma once
// What a job of LogFiles has for its own while it runs, and what became of it. Only for logs/.

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>

#include "base/unique_fd.h"
#include "logs/rotating_file.h"

namespace muster::logs {

struct Pumping {
    static constexpr std::size_t buffer_size = std::size_t{128} * 1024;
    static constexpr std::size_t quota = std::size_t{4} * 1024 * 1024;  // then it is another's turn

    std::unique_ptr<char[]> buffer;
    std::string written_tail;  // the last of what was written, at most tail_size

    std::shared_ptr<RotatingFile> file;
    std::shared_ptr<UniqueFd> pipe;
    std::size_t held = 0;  // bytes at the buffer's start that are not written yet
    std::size_t tail_size = 0;
    bool keeps_lines = false;  // what is not a whole line is held
    bool is_followed = false;  // written_tail must have all that is written
    bool may_rotate = true;
    bool lingers = false;  // nobody waits for the thread, or for the file
    bool is_large_pipe = false;
    std::atomic<bool> stops{false};  // after the write that it is in

    RotatingFile::Written result;  // of the last write, and what happened in any
    bool is_at_end = false;        // of the pipe
    bool is_drained = false;       // nothing more is in the pipe now
    bool is_short = false;         // the last read was a short one: better to wait for more

    void run();  // in the pool

private:
    bool write_held();
    [[nodiscard]] bool comes_more() const;
    void remember(std::string_view written);
};

}  // namespace muster::logs
