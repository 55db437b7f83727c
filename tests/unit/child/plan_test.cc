#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>

#include "child/child_plan.h"

using namespace muster;
using namespace muster::child;

TEST_CASE("a pid is written wherever a string has a marker, with room for ten digits") {
    ChildSpec spec;
    spec.argv = {"/bin/x", "\x01", "a-\x01-b-\x01", "plain"};
    spec.environment = {"NAME=shap-\x01", "X=y"};
    spec.directory = "/tmp/\x01/z";
    for (const pid_t pid : {7, 65, 2147483647}) {
        CAPTURE(pid);
        ChildPlan plan(spec);
        plan.write_pid(pid);
        const std::string digits = std::to_string(pid);
        CHECK(std::string_view(plan.argv()[0]) == "/bin/x");
        CHECK(std::string_view(plan.argv()[1]) == digits);
        CHECK(plan.argv()[2] == "a-" + digits + "-b-" + digits);
        CHECK(std::string_view(plan.argv()[3]) == "plain");
        CHECK(plan.argv()[4] == nullptr);
        CHECK(plan.environment()[0] == "NAME=shap-" + digits);
        CHECK(std::string_view(plan.environment()[1]) == "X=y");
        CHECK(plan.directory() == "/tmp/" + digits + "/z");
        CHECK(with_pid(spec.argv[2], Pid{pid}) == plan.argv()[2]);
    }
}

TEST_CASE("a command is searched in the child's own PATH, a path is not") {
    ChildSpec spec;
    spec.argv = {"rq"};
    spec.environment = {"PATH=/a:/b"};
    ChildPlan searched(spec);
    REQUIRE(searched.candidates().size() == 2);
    CHECK(std::string_view(searched.candidates()[0]) == "/a/rq");
    CHECK(std::string_view(searched.candidates()[1]) == "/b/rq");

    spec.argv = {"./rq"};
    ChildPlan given(spec);
    REQUIRE(given.candidates().size() == 1);
    CHECK(std::string_view(given.candidates()[0]) == "./rq");
}

TEST_CASE("users and groups are resolved by name and by number") {
    const auto root = resolve_identity("root", "");
    REQUIRE(root.ok());
    CHECK(root->uid == 0);
    CHECK(root->gid == 0);
    CHECK(std::find(root->groups.begin(), root->groups.end(), gid_t{0}) != root->groups.end());

    const auto numbers = resolve_identity("54321", "54322");
    REQUIRE(numbers.ok());
    CHECK(numbers->uid == 54321);
    CHECK(numbers->gid == 54322);
    CHECK(numbers->groups == std::vector<gid_t>{54322});

    const auto own = resolve_identity("", "12345");
    REQUIRE(own.ok());
    CHECK(own->uid == ::geteuid());
    CHECK(own->gid == 12345);
}

TEST_CASE("an unknown user or group is refused with a sentence") {
    CHECK(resolve_identity("nosuchuser", "").error().message() == "there is no user nosuchuser");
    CHECK(resolve_identity("root", "nosuchgroup").error().message() ==
          "there is no group nosuchgroup");
    CHECK_FALSE(resolve_identity("54321", ""));
}
