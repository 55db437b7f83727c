#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

#include "../loop/turns.h"
#include "base/unique_fd.h"

namespace muster {

// The far end of our stdout: reads only when it is told to.
struct Reader {
    UniqueFd read;
    UniqueFd write;

    Reader() {
        std::array<int, 2> ends{};
        if (pipe2(ends.data(), O_CLOEXEC) != 0) std::abort();
        read = UniqueFd{ends[0]};
        write = UniqueFd{ends[1]};
        make_read_end_non_blocking();
    }
    Reader(UniqueFd read_end, UniqueFd write_end)
        : read(std::move(read_end)), write(std::move(write_end)) {
        make_read_end_non_blocking();
    }

    // What is there now.
    [[nodiscard]] std::string take() const {
        std::string got;
        std::array<char, 65536> room{};
        for (;;) {
            const ssize_t size = ::read(read.get(), room.data(), room.size());
            if (size <= 0) return got;
            got.append(room.data(), static_cast<std::size_t>(size));
        }
    }

private:
    void make_read_end_non_blocking() const {
        const int flags = fcntl(read.get(), F_GETFL);
        if (fcntl(read.get(), F_SETFL, flags | O_NONBLOCK) != 0) std::abort();
    }
};

}  // namespace muster
