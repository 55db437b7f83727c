#include "child/pid1.h"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <fstream>
#include <string>

using namespace muster;

namespace {

// How many descriptors our table has room for, as the kernel tells it.
std::size_t room() {
    std::ifstream status{"/proc/self/status"};
    std::string word;
    std::size_t size = 0;
    while (status >> word) {
        if (word == "FDSize:") status >> size;
    }
    return size;
}

// In a process of its own, since a table never shrinks: 0 = as the test wants it.
template <class Test>
int exit_code_of(Test test) {
    const pid_t pid = fork();
    if (pid == 0) _exit(test());
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

TEST_CASE("there is room for the descriptors of so many children, and none of them is taken") {
    CHECK(exit_code_of([] {
              const rlimit limit{4096, 4096};
              if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return 1;
              if (room() >= 4000) return 2;  // it would be there anyhow
              child::make_room_for_files(1000);
              if (room() < 4000) return 3;
              const int next = dup(0);
              return next >= 0 && next < 100 ? 0 : 4;
          }) == 0);
}

TEST_CASE("no more room than the limit of open files allows is asked for") {
    CHECK(exit_code_of([] {
              const rlimit limit{256, 256};
              if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return 1;
              child::make_room_for_files(100'000);
              return room() == 256 ? 0 : 2;
          }) == 0);
}
