#include "client/offline.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

using namespace muster;
using namespace muster::client;

namespace {

// The working directory is a new, empty folder.
class Elsewhere {
public:
    Elsewhere() : before_(std::filesystem::current_path()) {
        std::string name = (std::filesystem::temp_directory_path() / "muster-test-XXXXXX").string();
        folder_ = mkdtemp(name.data());
        std::filesystem::current_path(folder_);
    }
    Elsewhere(const Elsewhere&) = delete;
    Elsewhere& operator=(const Elsewhere&) = delete;
    ~Elsewhere() {
        std::filesystem::current_path(before_);
        std::filesystem::remove_all(folder_);
    }

private:
    std::filesystem::path before_;
    std::string folder_;
};

Printed checked(const std::string& text, bool prints = false) {
    std::ofstream("muster.toml") << text;
    CommandLine line;
    line.verb = Verb::check;
    line.prints = prints;
    return check(line);
}

int start(std::vector<std::string> words, RunOptions& seen) {
    words.insert(words.begin(), "muster");
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    return run(static_cast<int>(argv.size()), argv.data(), [&](const RunOptions& options) {
        seen = options;
        return 42;
    });
}

}  // namespace

TEST_CASE("the configuration is the named one, else $MUSTER_CONFIG, else ./muster.toml") {
    const Elsewhere elsewhere;
    std::ofstream("muster.toml") << "";
    CHECK(*find_config("named.toml") == "named.toml");
    CHECK(*find_config("") == "muster.toml");
    setenv("MUSTER_CONFIG", "from-environment.toml", 1);
    CHECK(*find_config("named.toml") == "named.toml");
    CHECK(*find_config("") == "from-environment.toml");
    unsetenv("MUSTER_CONFIG");
}

TEST_CASE("check says ok, or everything that is wrong, with 2") {
    const Elsewhere elsewhere;
    const std::string good = "[program.a]\ncommand = \"sleep 9\"\n";
    CHECK(checked(good).status == 0);
    CHECK(checked(good).out == "muster.toml: ok\n");
    const Printed printed = checked(good, true);
    CHECK(printed.status == 0);
    CHECK(printed.out.find("[program.a]") != std::string::npos);
    const Printed wrong = checked(good + "comand = 1\nrestrat = 2\n");
    CHECK(wrong.status == 2);
    CHECK(wrong.out.empty());
    CHECK(wrong.err.find("muster.toml:3:1: ") != std::string::npos);
    CHECK(wrong.err.find("muster.toml:4:1: ") != std::string::npos);
}

TEST_CASE("I12: check --print shows no secret") {
    const Elsewhere elsewhere;
    const Printed printed =
        checked("[redis]\nurl = \"redis://:hunter2@h/0\"\n[program.a]\ncommand = \"a\"\n", true);
    CHECK(printed.status == 0);
    CHECK(printed.out.find("hunter2") == std::string::npos);
}

TEST_CASE("run is left to the supervisor, with the file that was found") {
    const Elsewhere elsewhere;
    RunOptions seen;
    std::ofstream("muster.toml") << "";
    CHECK(start({"run"}, seen) == 42);
    CHECK(seen.config_path == "muster.toml");
    CHECK(start({"-s", "/a", "run", "-n", "2", "--", "sleep", "9"}, seen) == 42);
    CHECK(seen.config_path.empty());
    CHECK(seen.control == "/a");
    CHECK(seen.processes == 2U);
    CHECK(seen.command == std::vector<std::string>{"sleep", "9"});
    CHECK(start({"version"}, seen) == 0);
    CHECK(start({"run", "--nope"}, seen) == 2);
}
