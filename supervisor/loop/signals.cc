#include "loop/signals.h"

#include <sys/signalfd.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <cstdlib>

namespace muster::loop {

namespace {

sigset_t set_of(const std::vector<int>& signals) {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : signals) sigaddset(&set, signal);
    return set;
}

}  // namespace

Signals::Signals(Loop& loop, const std::vector<int>& signals, std::function<void(int)> callback)
    : Handle(std::move(callback)) {
    const sigset_t set = set_of(signals);
    signal_fd = UniqueFd{signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)};
    if (!signal_fd.is_open() || uv_poll_init(loop.raw(), raw(), signal_fd.get()) != 0) std::abort();
    opened();
    uv_poll_start(raw(), UV_READABLE, on_readable);
}

void Signals::on_readable(uv_poll_t* raw, int, int) noexcept {
    // The kernel keeps each standard signal at most once, so one read drains them all; should
    // queued real-time signals be left, the descriptor is still readable.
    std::array<signalfd_siginfo, 32> infos{};
    uv_os_fd_t fd{};
    if (uv_fileno(reinterpret_cast<uv_handle_t*>(raw), &fd) != 0) return;
    const ssize_t size = read(fd, infos.data(), sizeof infos);
    if (size <= 0) return;
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < static_cast<std::size_t>(size) / sizeof infos[0]; ++i)
        seen |= std::uint64_t{1} << (infos[i].ssi_signo - 1);
    for (int signal = 1; seen != 0; ++signal, seen >>= 1) {
        if ((seen & 1) != 0) fire(raw, signal);
    }
}

}  // namespace muster::loop
