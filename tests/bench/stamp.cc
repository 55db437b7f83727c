// The cheapest child that can tell when it lives: writes its start (CLOCK_MONOTONIC, ns) and pid
// into its slot of a shared file, then sleeps until a signal ends it; with a third argument it
// exits at once with that code.
//   stamp FILE INDEX [EXIT]

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

int main(int argc, char** argv) {
    if (argc < 3) return 2;
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    const std::int64_t slot[2] = {now.tv_sec * 1'000'000'000LL + now.tv_nsec, getpid()};
    const int fd = open(argv[1], O_WRONLY | O_CLOEXEC);
    if (fd < 0 || pwrite(fd, slot, sizeof slot, atoll(argv[2]) * 16) != sizeof slot) return 3;
    if (argc > 3) return atoi(argv[3]);
    for (;;) pause();
}
