#include "child/family.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include "rig.h"

using namespace muster;
using namespace muster::child;

namespace {

constexpr std::uint64_t token = 1;

struct Started {
    Child leader;
    pid_t horse;
};

ChildSpec marked(const std::string& script, const std::string& incarnation = "1") {
    ChildSpec spec = shell(script);
    spec.environment.insert(
        spec.environment.end(),
        {"MUSTER_INSTANCE=test", "MUSTER_PROCESS=shap_00", "MUSTER_INCARNATION=" + incarnation});
    return spec;
}

std::vector<std::string> marks(const std::string& incarnation = "1") {
    return {"MUSTER_INSTANCE=test", "MUSTER_PROCESS=shap_00", "MUSTER_INCARNATION=" + incarnation};
}

// The script tells the pid of what it leaves behind, when that is as it shall be.
Started start(Rig& rig, ChildSpec spec, std::uint64_t its_token = token) {
    Pipe pipe;
    spec.stdout_to = ToFd{pipe.in.get()};
    Child leader = rig.start(spec, its_token);
    const std::string line = pipe.line();
    REQUIRE_FALSE(line.empty());
    return {std::move(leader), std::stoi(line)};
}

void end(Rig& rig, const Child& leader, Ending how, const std::string& incarnation = "1") {
    rig.families.end({token, leader.pid, marks(incarnation)}, how, Rig::now());
}

// timeout moves into a group of its own.
constexpr const char* in_own_group = "timeout 200 sh -c 'echo $$; exec sleep 100' & exec sleep 100";
constexpr const char* in_own_session = "setsid sh -c 'echo $$; exec sleep 100' & exec sleep 100";
constexpr const char* without_marks =
    "env -i setsid sh -c 'echo $$; exec sleep 100' & exec sleep 100";
constexpr const char* double_forked = "(setsid sh -c 'echo $$; exec sleep 100' &) ; exec sleep 100";
constexpr const char* deaf =
    "setsid sh -c 'trap \"\" TERM; echo $$; while :; do sleep 100; done' & exec sleep 100";
constexpr const char* with_grandchildren =
    "setsid sh -c 'env -i setsid sh -c \"trap \\\"\\\" TERM; echo \\$\\$; exec sleep 100\" & exec "
    "sleep 100' & exec sleep 100";

}  // namespace

TEST_CASE("a family of which nobody is left has ended at once") {
    Rig rig;
    const Child leader = rig.start(marked("exit 0"), token);
    rig.until([&] { return rig.exits.contains(token); });
    end(rig, leader, Ending::kill);
    REQUIRE(rig.ended.contains(token));
    CHECK_FALSE(rig.ended.at(token));
    CHECK(rig.families.under_way() == 0);
    CHECK_FALSE(rig.families.next_deadline());
}

TEST_CASE("I3: what a dead leader leaves behind is ended, wherever it went") {
    for (const char* script :
         {in_own_group, in_own_session, without_marks, double_forked, with_grandchildren}) {
        CAPTURE(script);
        Rig rig;
        const Started started = start(rig, marked(script));
        rig.kill(started.leader, token);
        REQUIRE(is_alive(started.horse));
        if (script == in_own_group) CHECK(::getpgid(started.horse) != started.leader.pid.value());
        end(rig, started.leader, Ending::kill);
        CHECK_FALSE(rig.ended.contains(token));  // I6: not before it is true
        rig.until([&] { return rig.ended.contains(token); });
        CHECK_FALSE(rig.ended.at(token));
        CHECK_FALSE(is_alive(started.horse));
        CHECK(rig.reaper.orphans().empty());
    }
}

TEST_CASE("I3: one that ignores TERM is killed after a second") {
    Rig rig;
    const Started started = start(rig, marked(deaf));
    rig.kill(started.leader, token);
    const TimePoint before = Rig::now();
    end(rig, started.leader, Ending::kill);
    rig.until([&] { return rig.ended.contains(token); });
    CHECK(Rig::now() - before >= 1s);
    CHECK(Rig::now() - before < 3s);
    CHECK_FALSE(is_alive(started.horse));
}

TEST_CASE("a stopped one is woken to hear TERM") {
    Rig rig;
    const Started started = start(rig, marked(in_own_session));
    ::kill(started.horse, SIGSTOP);
    rig.kill(started.leader, token);
    end(rig, started.leader, Ending::kill);
    rig.until([&] { return rig.ended.contains(token); });
    CHECK(rig.orphan_exits.at(Pid{started.horse}) == ExitStatus{Killed{SIGTERM, false}});
}

TEST_CASE("hastening kills at once") {
    Rig rig;
    const Started started = start(rig, marked(deaf));
    rig.kill(started.leader, token);
    SUBCASE("while it has its second") {
        end(rig, started.leader, Ending::kill);
    }
    SUBCASE("also where it is waited for") {
        end(rig, started.leader, Ending::wait);
    }
    rig.families.hasten(token, Rig::now());
    CHECK_FALSE(rig.families.next_deadline());  // so no later step can have done it
    rig.until([&] { return rig.ended.contains(token); });
    CHECK(rig.orphan_exits.at(Pid{started.horse}) == ExitStatus{Killed{SIGKILL, false}});
}

TEST_CASE("wait lets it finish, and needs no timer for that") {
    Rig rig;
    const Started started = start(rig, marked(in_own_session));
    rig.kill(started.leader, token);
    end(rig, started.leader, Ending::wait);
    CHECK_FALSE(rig.families.next_deadline());
    CHECK(rig.families.under_way() == 1);
    CHECK(is_alive(started.horse));
    ::kill(started.horse, SIGTERM);
    rig.until([&] { return rig.ended.contains(token); });
    CHECK_FALSE(rig.ended.at(token));
}

TEST_CASE("leave tells at once that somebody is left, and the next life is not blamed for it") {
    Rig rig;
    const Started first = start(rig, marked(in_own_session));
    rig.kill(first.leader, token);
    end(rig, first.leader, Ending::leave);
    REQUIRE(rig.ended.contains(token));
    CHECK(rig.ended.at(token));
    CHECK(is_alive(first.horse));

    rig.exits.clear();
    rig.ended.clear();
    const Child second = rig.start(marked("exit 0", "2"), token);
    rig.until([&] { return rig.exits.contains(token); });
    end(rig, second, Ending::kill, "2");
    REQUIRE(rig.ended.contains(token));
    CHECK_FALSE(rig.ended.at(token));
    CHECK(is_alive(first.horse));
    ::kill(first.horse, SIGKILL);
    rig.until([&] { return rig.reaper.orphans().empty(); });
}

TEST_CASE("the children of a living process are not taken for a dead one's") {
    Rig rig;
    const Started dead = start(rig, marked(in_own_session));
    ChildSpec other = marked("(env -i sh -c 'echo $$; exec sleep 100' &) ; exec sleep 100", "9");
    const Started living = start(rig, other, 2);
    rig.kill(dead.leader, token);
    end(rig, dead.leader, Ending::kill);
    rig.until([&] { return rig.ended.contains(token); });
    CHECK(is_alive(living.horse));  // adopted, unmarked, but in the session of a living child
    CHECK(is_alive(living.leader.pid.value()));
    rig.kill(living.leader, 2);
    rig.families.end({2, living.leader.pid, marks("9")}, Ending::kill, Rig::now());
    rig.until([&] { return rig.ended.contains(2); });
    CHECK_FALSE(is_alive(living.horse));
}

TEST_CASE("another user's family is found by its marks" * doctest::skip(::geteuid() != 0)) {
    Rig rig;
    ChildSpec spec = marked(in_own_session);
    spec.identity = Identity{.uid = 54321, .gid = 54321, .groups = {54321}, .user = "other"};
    const Started started = start(rig, spec);
    rig.kill(started.leader, token);
    end(rig, started.leader, Ending::kill);
    rig.until([&] { return rig.ended.contains(token); });
    CHECK_FALSE(is_alive(started.horse));
}

TEST_CASE("a family of two hundred hears TERM and ends") {
    Rig rig;
    const Started started =
        start(rig, marked("i=0; while [ $i -lt 200 ]; do sleep 100 & i=$((i+1)); "
                          "done; echo $!; exec sleep 100"));
    rig.kill(started.leader, token);
    CHECK(rig.reaper.orphans().size() == 200);
    end(rig, started.leader, Ending::kill);
    rig.until([&] { return rig.ended.contains(token); });
    CHECK(rig.orphan_exits.size() == 200);
    CHECK(rig.orphan_exits.at(Pid{started.horse}) == ExitStatus{Killed{SIGTERM, false}});
}

TEST_CASE("I6: one that loses its parent while the family is ended is still found") {
    // Unmarked, in a session of its own, deaf, and unknown before its parent hears TERM: it is made
    // by the parent's handler.
    Rig rig;
    Pipe late;
    ChildSpec spec =
        marked(R"(setsid sh -c 'trap "env -i setsid sh -c \"\$LATE\" & exit 0" TERM; echo $$; )"
               R"(while :; do sleep 0.05; done' & exec sleep 100)");
    spec.environment.push_back("LATE=trap '' TERM; echo late=$$ >&2; exec sleep 100");
    spec.stderr_to = ToFd{late.in.get()};
    const Started started = start(rig, spec);
    late.in.close();
    rig.kill(started.leader, token);
    end(rig, started.leader, Ending::kill);
    rig.until([&] { return rig.ended.contains(token); });
    // It may have been hit before it could tell its pid; the shells tell of what was killed, too.
    const std::string told = late.rest();  // everybody is dead: EOF comes
    if (const std::size_t at = told.find("late="); at != std::string::npos) {
        CHECK_FALSE(is_alive(std::stoi(told.substr(at + 5))));
    }
    CHECK(rig.reaper.orphans().empty());
    CHECK_FALSE(is_alive(started.horse));
}
