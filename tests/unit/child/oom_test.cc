#include "child/oom.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

using namespace muster;
using namespace muster::child;

namespace {

class Root {
public:
    Root() {
        std::string name = (std::filesystem::temp_directory_path() / "muster-test-XXXXXX").string();
        path = mkdtemp(name.data());
    }
    Root(const Root&) = delete;
    Root& operator=(const Root&) = delete;
    ~Root() { std::filesystem::remove_all(path); }
    void write(const std::string& file, const std::string& text) const {
        std::filesystem::create_directories(std::filesystem::path(path + file).parent_path());
        std::ofstream(path + file) << text;
    }
    std::string path;
};

constexpr std::string_view v2_line = "0::/system.slice/muster.service\n";
constexpr std::string_view v1_lines =
    "5:cpu,cpuacct:/x\n4:memory:/docker/abc\n1:name=systemd:/\n0::/\n";

}  // namespace

TEST_CASE("the count is read from either version's file") {
    CHECK(oom_kills_in("low 0\nhigh 0\nmax 7\noom 3\noom_kill 2\noom_group_kill 0\n") == 2U);
    CHECK(oom_kills_in("oom_kill_disable 0\nunder_oom 0\noom_kill 4\n") == 4U);
    CHECK(!oom_kills_in("oom_kill_disable 0\nunder_oom 0\n"));
    CHECK(!oom_kills_in("oom_kill x\n"));
    CHECK(!oom_kills_in(""));
}

TEST_CASE("our own cgroup is found, also where a container sees it as the root") {
    const Root root;
    CHECK(OomCounter::find(v2_line, root.path).path().empty());
    root.write("/memory.events", "oom_kill 1\n");
    CHECK(OomCounter::find(v2_line, root.path).path() == root.path + "/memory.events");
    CHECK(OomCounter::find("0::/\n", root.path).path() == root.path + "/memory.events");
    root.write("/system.slice/muster.service/memory.events", "oom_kill 1\n");
    CHECK(OomCounter::find(v2_line, root.path).path() ==
          root.path + "/system.slice/muster.service/memory.events");
    root.write("/memory/memory.oom_control", "oom_kill 1\n");
    CHECK(OomCounter::find(v1_lines, root.path).path() == root.path + "/memory/memory.oom_control");
    root.write("/memory/docker/abc/memory.oom_control", "oom_kill_disable 0\n");  // an old kernel
    CHECK(OomCounter::find(v1_lines, root.path).path() == root.path + "/memory/memory.oom_control");
    for (const char* odd : {"", "\n", "nonsense", "1:", "1:memory", ":::::"})
        CHECK(OomCounter::find(odd, "/nowhere").path().empty());
}

TEST_CASE("kills are told once, and not at all where nothing can be read") {
    const Root root;
    root.write("/memory.events", "oom_kill 5\n");
    OomCounter counter = OomCounter::find("0::/\n", root.path);
    CHECK(counter.new_kills() == 0U);
    root.write("/memory.events", "oom_kill 7\n");
    CHECK(counter.new_kills() == 2U);
    CHECK(counter.new_kills() == 0U);
    root.write("/memory.events", "");
    CHECK(!counter.new_kills());
    CHECK(!OomCounter::find("", root.path).new_kills());
}
