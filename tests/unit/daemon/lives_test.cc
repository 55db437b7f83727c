#include "daemon/lives.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

using namespace muster;
using namespace muster::daemon;

namespace {

constexpr ProcessId one{0};
constexpr ProgramId its_program{0};

config::Program program() {
    config::Program program;
    program.name = "shap";
    program.command = {"work", "--name={name}", "{process}"};
    return program;
}

// A program of one process, before its first life.
struct Rig {
    explicit Rig(const config::Program& settings) {
        programs.put(its_program, settings);
        parts.emplace_back().id = "shap";
    }
    Outcome prepare() {
        return lives.prepare({.host = "box",
                              .instance = "farm-box-1",
                              .service = "farm",
                              .control_path = "/run/m.sock"});
    }
    void adopt(std::map<std::string, std::string> from_file) {
        lives.adopt(its_program, {.identity = nullptr, .from_file = std::move(from_file)});
    }
    // All values of a variable, in the order in which a child would find them.
    std::vector<std::string> values(const std::string& key) const {
        const child::ChildSpec spec = lives.spec_of(one, Incarnation{7});
        std::vector<std::string> found;
        const auto look = [&](const std::string& entry) {
            if (entry.starts_with(key + "=")) found.push_back(entry.substr(key.size() + 1));
        };
        std::ranges::for_each(spec.inherited, look);
        std::ranges::for_each(spec.environment, look);
        return found;
    }

    Programs programs;
    std::vector<config::Group> groups;
    core::Fleet fleet{{{.name = "shap", .policy = core::Policy{}, .after = {}}}, {}};
    Parts parts;
    Lives lives{programs, groups, fleet, parts};
};

struct Variable {  // of our own environment
    Variable(const char* name, const char* value) : name_(name) { ::setenv(name, value, 1); }
    Variable(const Variable&) = delete;
    Variable& operator=(const Variable&) = delete;
    ~Variable() { ::unsetenv(name_); }
    const char* name_;
};

using Values = std::vector<std::string>;

}  // namespace

TEST_CASE("I1: no two lives have the same name, and its pid stands in it when it has one") {
    Rig rig{program()};
    REQUIRE(rig.prepare());
    const std::string first = rig.lives.new_name(one);
    CHECK(first.starts_with("shap-box-"));
    CHECK(first.find(child::pid_marker) != std::string::npos);
    CHECK(rig.lives.new_name(one) != first);
}

TEST_CASE("what a registry's key cannot hold is replaced in a name") {
    config::Program settings = program();
    settings.name_template = "{service} {uuid}\n";
    Rig rig{settings};
    REQUIRE(rig.prepare());
    const std::string name = rig.lives.new_name(one);
    CHECK(name.starts_with("farm-"));
    CHECK(name.size() == 5 + 36 + 1);
    CHECK(name.back() == '-');
    CHECK(name[5 + 14] == '4');  // of a version 4
}

TEST_CASE("a life knows by its environment who it is") {
    Rig rig{program()};
    REQUIRE(rig.prepare());
    rig.parts.front().name = "shap-1";
    CHECK(rig.lives.spec_of(one, Incarnation{7}).argv == Values{"work", "--name=shap-1", "shap"});
    CHECK(rig.values("MUSTER_WORKER_NAME") == Values{"shap-1"});
    CHECK(rig.values("MUSTER_CONTROL") == Values{"/run/m.sock"});
    CHECK(rig.values("MUSTER_INCARNATION") == Values{"7"});
    CHECK(rig.values("MUSTER_INSTANCE") == Values{"farm-box-1"});
}

TEST_CASE("a variable stands once: settings before the file before ours; MUSTER_* is never ours") {
    const Variable ours{"COLOUR", "red"};
    const Variable outer{"MUSTER_PROGRAM", "outer"};
    Rig plain{program()};
    REQUIRE(plain.prepare());
    CHECK(plain.values("COLOUR") == Values{"red"});
    CHECK(plain.values("MUSTER_PROGRAM") == Values{"shap"});

    config::Program settings = program();
    settings.environment = {{"COLOUR", "{process}-blue"}};
    Rig rig{settings};
    REQUIRE(rig.prepare());
    rig.adopt({{"COLOUR", "green"}, {"TOKEN", "{name}"}});
    CHECK(rig.values("COLOUR") == Values{"shap-blue"});
    CHECK(rig.values("TOKEN") == Values{"{name}"});  // a file has no placeholders
}

TEST_CASE("a listener finds us, not a supervisord around us, unless its settings say so") {
    const Variable outer{"SUPERVISOR_SERVER_URL", "unix:///outer"};
    config::Program settings = program();
    Rig plain{settings};
    REQUIRE(plain.prepare());
    CHECK(plain.values("SUPERVISOR_SERVER_URL") == Values{"unix:///outer"});

    settings.listener = config::Listener{};
    Rig rig{settings};
    REQUIRE(rig.prepare());
    CHECK(rig.values("SUPERVISOR_SERVER_URL") == Values{"unix:///run/m.sock"});
    CHECK(rig.values("SUPERVISOR_GROUP_NAME") == Values{"shap"});
    rig.groups.push_back({.name = "site", .programs = {"shap"}});
    CHECK(rig.values("SUPERVISOR_GROUP_NAME") == Values{"site"});

    settings.environment = {{"SUPERVISOR_SERVER_URL", "http://there"}};
    Rig told{settings};
    REQUIRE(told.prepare());
    CHECK(told.values("SUPERVISOR_SERVER_URL") == Values{"http://there"});
}

TEST_CASE("a life under way stays what it was made of") {
    config::Program settings = program();
    settings.registry = config::RegistryKind::rq;
    Rig rig{settings};
    REQUIRE(rig.prepare());
    rig.parts.front().made_of = rig.programs.shared(its_program);
    rig.programs.put(its_program, program());
    CHECK(rig.lives.life_of(one).registry == config::RegistryKind::rq);
    CHECK(rig.lives.settings_of(one).registry == config::RegistryKind::none);
}

TEST_CASE("a user that is not there, and a file that is not, are told with the program's name") {
    config::Program settings = program();
    settings.env_file = "/nonexistent/env";
    Rig rig{settings};
    const Outcome without_file = rig.prepare();
    REQUIRE_FALSE(without_file);
    CHECK(without_file.error().message().starts_with("program.shap: reading env_file"));

    settings.env_file.clear();
    settings.user = "nobody-of-that-name";
    Rig other{settings};
    const Outcome without_user = other.prepare();
    REQUIRE_FALSE(without_user);
    CHECK(without_user.error().message().starts_with("program.shap: "));
    CHECK(without_user.error().message().find("nobody-of-that-name") != std::string::npos);
}
