// The tests run as the program does: signals blocked, beside the leader, as a subreaper.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include "child/pid1.h"

int main(int argc, char** argv) {
    muster::child::block_all_signals();
    muster::child::open_closed_stdio();
    if (!muster::child::become_subreaper()) return 1;
    doctest::Context context(argc, argv);
    return muster::child::run_beside_leader([&] { return context.run(); });
}
