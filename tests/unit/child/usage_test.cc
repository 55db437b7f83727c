#include "child/usage.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include "rig.h"

using namespace muster;
using namespace muster::child;

TEST_CASE("a family is its leader and all below it, wherever they went") {
    Rig rig;
    Pipe pipe;
    // One that leaves the session, one that loses its parent, and one that uses up some CPU.
    ChildSpec spec = shell(
        "setsid sh -c 'echo 1; exec sleep 100' & (sleep 100 & echo 2) ; i=0; "
        "while [ $i -lt 50000 ]; do i=$((i+1)); done; echo 3; wait");
    spec.stdout_to = ToFd{pipe.in.get()};
    const Child leader = rig.start(spec, 1);
    const Child other = rig.start(command({"sleep", "100"}), 2);
    std::string said;
    while (said.size() < 6) {
        char piece = 0;
        REQUIRE(::read(pipe.out.get(), &piece, 1) == 1);
        said += piece;
    }
    const pid_t us = leader.pid.value();
    const auto found = usage_of_families({us, other.pid.value(), 999'999'999});
    REQUIRE(found.size() == 2);
    CHECK(found.at(us).processes == 3);
    CHECK(found.at(us).memory > 100'000);
    CHECK(found.at(us).memory < 1'000'000'000);
    CHECK(found.at(us).cpu > Duration{});
    CHECK(found.at(other.pid.value()).processes == 1);
    CHECK(found.at(other.pid.value()).cpu < found.at(us).cpu);
    CHECK(usage_of_families({}).empty());
    rig.kill(other, 2);
    rig.kill(leader, 1);
    rig.families.end({1, leader.pid, {}}, Ending::kill, Rig::now());
    rig.until([&] { return rig.ended.contains(1); });
}
