#include "daemon/place.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <string>

using namespace muster;
using daemon::container_of;
using daemon::Kinship;
using daemon::kinship;

namespace {

registry::InstanceFacts instance(const std::string& id) {
    registry::InstanceFacts facts;
    facts.id = id;
    facts.service = "analytics";
    facts.host = "box";
    facts.place = {.pid_namespace = "boot/pid:[1]",
                   .container = "layer:/x",
                   .is_first = true,
                   .pid = 1,
                   .start_ticks = 5,
                   .uid = 0};
    return facts;
}

const std::string digits = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

}  // namespace

TEST_CASE(
    "an earlier life is one of the same pid namespace, or of the same container's first start") {
    const auto us = instance("us");
    auto other = instance("other");
    CHECK(kinship(us, us) == Kinship::none);
    CHECK(kinship(other, us) == Kinship::same_namespace);
    other.place.pid_namespace = "boot/pid:[2]";
    CHECK(kinship(other, us) == Kinship::same_container);
    for (int what = 0; what < 5; ++what) {
        CAPTURE(what);
        auto stranger = other;
        if (what == 0) stranger.host = "elsewhere";
        if (what == 1) stranger.service = "another";
        if (what == 2) stranger.place.is_first = false;
        if (what == 3) stranger.place.container = "layer:/y";
        if (what == 4) stranger.host.clear();
        CHECK(kinship(stranger, us) == Kinship::none);
    }
    other.place.container.clear();
    auto nowhere = us;
    nowhere.place.container.clear();
    nowhere.place.pid_namespace.clear();
    other.place.pid_namespace.clear();
    CHECK(kinship(other, nowhere) == Kinship::none);  // what is not known is equal to nothing
}

TEST_CASE("a container is told by its writable layer, or by its pod and name") {
    const std::string root =
        "700 600 0:50 / / rw,relatime master:3 - overlay overlay rw,lowerdir=/l,upperdir=/var/lib/";
    CHECK(container_of(root + digits + "/diff,workdir=/w\n", "boot") ==
          "layer:/var/lib/" + digits + "/diff");
    // A number that counts up on its host is another's on another host.
    CHECK(container_of(root + "snapshots/17/fs,workdir=/w\n", "boot") ==
          "layer:boot:/var/lib/snapshots/17/fs");
    const std::string pod =
        "701 700 8:1 /var/lib/kubelet/pods/0f-1/containers/app/5c1d /dev/termination-log rw - ext4 "
        "/dev/sda1 rw\n";
    CHECK(container_of(root + digits + "/diff\n" + pod, "boot") ==
          "kubernetes:pods/0f-1/containers/app");
    CHECK(container_of("27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n", "boot").empty());
    for (const char* broken : {"", "\n", "a b c\n", " - ", "1 2 3 4 / - overlay\n"})
        CHECK(container_of(broken, "boot").empty());
}

TEST_CASE("a platform's instance is one of its own kind, and a dyno is none") {
    const auto of = [](const std::string& set, const std::string& value) {
        return daemon::platform_instance(
            [&](const char* name) { return name == set ? std::optional(value) : std::nullopt; });
    };
    CHECK(of("FLY_MACHINE_ID", "148e1") == "FLY_MACHINE_ID:148e1");
    CHECK(of("RENDER_INSTANCE_ID", "148e1") == "RENDER_INSTANCE_ID:148e1");
    CHECK(of("RENDER_INSTANCE_ID", "").empty());
    CHECK(of("DYNO", "worker.1").empty());
}

TEST_CASE("our own place is known as far as the kernel tells") {
    const auto place = daemon::read_place([](const char*) { return std::nullopt; });
    CHECK(place.pid == ::getpid());
    CHECK(place.start_ticks > 0);
    CHECK(place.pid_namespace.find("/pid:[") != std::string::npos);
    const auto again = daemon::read_place([](const char*) { return std::nullopt; });
    CHECK(place == again);
}
