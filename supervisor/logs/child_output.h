#pragma once
// Where a child's stdout or stderr goes: our pipe, or a file of its own.

#include <string>
#include <utility>

#include "base/result.h"
#include "base/unique_fd.h"

namespace muster::logs {

struct OutputPipe {
    UniqueFd read;   // non-blocking, for a Capture
    UniqueFd write;  // blocking, for the child
};
Result<OutputPipe> make_pipe();

// Appends; made with 0640 where it does not exist. /dev/stdout and /dev/stderr are our own
// descriptors, never reopened by path. A FIFO that nobody reads is an error, not a wait.
Result<UniqueFd> open_log_file(const std::string& path);

}  // namespace muster::logs
