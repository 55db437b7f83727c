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
// The other way round: the child reads, we write without waiting.
Result<OutputPipe> make_input_pipe();
// To 1 MiB, once a child has filled it: a pipe that is quiet keeps the kernel's 64 KiB. Where the
// user's share of pipes is used up it stays as it is.
void enlarge_pipe(int fd);

// A FIFO, a device, one of our own descriptors: nothing that could be rotated. The child gets it.
bool is_special_file(const std::string& path);

// Appends; made with 0640 where it does not exist. /dev/stdout and /dev/stderr are our own
// descriptors, never reopened by path. A FIFO that nobody reads is an error, not a wait.
Result<UniqueFd> open_log_file(const std::string& path);

}  // namespace muster::logs
