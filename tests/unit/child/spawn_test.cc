#include "child/spawn.h"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>

#include "rig.h"

using namespace muster;
using namespace muster::child;

namespace {

struct Folder {
    std::string path;
    Folder() {
        std::string name = "/tmp/muster-child-XXXXXX";
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path = name;
        REQUIRE(::chmod(path.c_str(), 0755) == 0);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() {
        for (const std::string& made : made_) ::unlink(made.c_str());
        ::rmdir(path.c_str());
    }
    std::string file(const std::string& name, const std::string& text, mode_t mode) {
        const std::string whole = path + "/" + name;
        std::ofstream(whole) << text;
        REQUIRE(::chmod(whole.c_str(), mode) == 0);
        made_.push_back(whole);
        return whole;
    }

private:
    std::vector<std::string> made_;
};

Identity nobody() {
    return {.uid = 65534, .gid = 65534, .groups = {65534}, .user = "nobody"};
}

std::string field_of(const std::string& status, const std::string& key) {
    const std::size_t at = status.find(key);
    if (at == std::string::npos) return {};
    const std::size_t end = status.find('\n', at);
    return std::string(trimmed(status.substr(at + key.size(), end - at - key.size())));
}

}  // namespace

TEST_CASE("a child runs, and its end is told as it was") {
    Rig rig;
    const Child good = rig.start(shell("exit 0"), 1);
    const Child bad = rig.start(shell("exit 7"), 2);
    const Child ill = rig.start(shell("kill -SEGV $$"), 3);
    rig.until([&] { return rig.exits.size() == 3; });
    CHECK(describe(rig.exits.at(1)) == "exit:0");
    CHECK(describe(rig.exits.at(2)) == "exit:7");
    CHECK(describe(rig.exits.at(3)).starts_with("signal:SEGV"));
    CHECK(rig.reaper.children() == 0);
}

TEST_CASE("a child writes its own pid into its arguments and environment") {
    Rig rig;
    ChildSpec spec = command({"/bin/sh", "-c", "echo $$ $1 $NAME", "sh", "w-\x01"});
    spec.environment.push_back("NAME=shap-\x01-x");
    const auto words = split(trimmed(rig.output_of(spec)), ' ');
    REQUIRE(words.size() == 3);
    CHECK(words[1] == "w-" + words[0]);
    CHECK(words[2] == "shap-" + words[0] + "-x");
}

TEST_CASE("a child inherits nothing but 0, 1 and 2") {
    Rig rig;
    std::vector<UniqueFd> many;
    for (int i = 0; i < 40; ++i) many.emplace_back(::dup(1));  // inheritable, after create()
    // Those below 16 that are opened without O_CLOEXEC are the bug of whoever opens them.
    for (const UniqueFd& fd : many) {
        if (fd.get() < 16) ::fcntl(fd.get(), F_SETFD, FD_CLOEXEC);
    }
    const std::string open = rig.output_of(shell(
        "fd=3; while [ $fd -lt 80 ]; do [ -e /proc/$$/fd/$fd ] && echo $fd; fd=$((fd+1)); done"));
    CHECK(open == "");
    CHECK(rig.output_of(command({"readlink", "/proc/self/fd/0"})) == "/dev/null\n");
}

TEST_CASE("what muster was started with does not reach a child") {
    const UniqueFd inherited{::dup2(1, 9)};
    Rig rig;
    CHECK(rig.output_of(shell("[ -e /proc/$$/fd/9 ] && echo leaked; exit 0")) == "");
}

TEST_CASE("a child starts with default handlers and nothing blocked") {
    struct sigaction ignore {};
    struct sigaction before {};
    ignore.sa_handler = SIG_IGN;
    ::sigaction(SIGHUP, &ignore, &before);
    ::sigaction(SIGPIPE, &ignore, nullptr);
    Rig rig;
    const std::string status = rig.output_of(command({"cat", "/proc/self/status"}));
    ::sigaction(SIGHUP, &before, nullptr);
    ::sigaction(SIGPIPE, &before, nullptr);
    CHECK(field_of(status, "SigBlk:") == "0000000000000000");
    CHECK(field_of(status, "SigIgn:") == "0000000000000000");
    CHECK(field_of(status, "SigCgt:") == "0000000000000000");
}

TEST_CASE("a child leads a session of its own") {
    Rig rig;
    const auto fields = split(rig.output_of(command({"cat", "/proc/self/stat"})), ' ');
    REQUIRE(fields.size() > 6);
    CHECK(fields[4] == fields[0]);  // group
    CHECK(fields[5] == fields[0]);  // session
}

TEST_CASE("umask, limits, nice, oom_score_adj and directory are the child's alone") {
    Rig rig;
    const int our_nice = ::getpriority(PRIO_PROCESS, 0);  // the tests themselves may run at one
    const int its_nice = std::min(our_nice + 5, 19);
    ChildSpec spec = shell(
        "umask; ulimit -n; pwd; cat /proc/self/oom_score_adj; "
        "cut -d' ' -f19 /proc/self/stat; ulimit -c");
    spec.umask = 0027;
    spec.limits = {{RLIMIT_NOFILE, 123, 456}, {RLIMIT_CORE, 0, 0}};
    spec.nice = its_nice;
    spec.oom_score_adj = 300;
    spec.directory = "/usr";
    CHECK(rig.output_of(spec) == fmt::format("0027\n123\n/usr\n300\n{}\n0\n", its_nice));
    const mode_t ours = ::umask(022);
    ::umask(ours);
    CHECK(ours != 0027);
    CHECK(::getpriority(PRIO_PROCESS, 0) == our_nice);
}

TEST_CASE("children get back the limit of files that muster raised for itself") {
    Rig rig;
    rig.spawner = Rig::made(Spawner::create(FileLimit{321, 4321}));
    CHECK(rig.output_of(shell("ulimit -Sn; ulimit -Hn")) == "321\n4321\n");
}

TEST_CASE("a child becomes its user, with its groups" * doctest::skip(::geteuid() != 0)) {
    Rig rig;
    ChildSpec spec = command({"cat", "/proc/self/status"});
    spec.identity = Identity{.uid = 1234, .gid = 2345, .groups = {2345, 3456}, .user = "x"};
    const std::string status = rig.output_of(spec);
    CHECK(field_of(status, "Uid:") == "1234\t1234\t1234\t1234");
    CHECK(field_of(status, "Gid:") == "2345\t2345\t2345\t2345");
    CHECK(field_of(status, "Groups:") == "2345 3456");
    CHECK(::geteuid() == 0);
}

TEST_CASE("stdout and stderr go where they are sent") {
    Rig rig;
    Pipe out;
    Pipe err;
    ChildSpec spec = shell("echo out; echo err >&2");
    spec.stdout_to = ToFd{out.in.get()};
    spec.stderr_to = ToFd{err.in.get()};
    const Child child = rig.start(spec, 1);
    out.in.close();
    err.in.close();
    CHECK(out.rest() == "out\n");  // and EOF comes: we keep no write end
    CHECK(err.rest() == "err\n");
    spec.stderr_to = Null{};
    CHECK(rig.output_of(spec) == "out\n");
    rig.until([&] { return rig.exits.contains(1); });
}

TEST_CASE("each failure says what was tried, on what, and why not") {
    Rig rig;
    Folder folder;
    CHECK(rig.sentence_of(command({"nosuchcommand"})) ==
          "starting shap_00: cannot execute nosuchcommand: No such file or directory");
    CHECK(rig.sentence_of(command({"/no/such/file"})) ==
          "starting shap_00: cannot execute /no/such/file: No such file or directory");
    CHECK(rig.sentence_of(command({"/usr"})) ==
          "starting shap_00: cannot execute /usr: Is a directory");
    const std::string plain = folder.file("plain", "#!/bin/sh\n", 0644);
    CHECK(rig.sentence_of(command({plain})) ==
          "starting shap_00: cannot execute " + plain + ": Permission denied");
    const std::string script = folder.file("script", "#!/no/interpreter\n", 0755);
    CHECK(rig.sentence_of(command({script})) == "starting shap_00: cannot execute " + script +
                                                    ", whose interpreter is missing: No such file "
                                                    "or directory");
    const std::string text = folder.file("text", "echo no first line\n", 0755);
    CHECK(rig.failure_of(command({text})).error == ENOEXEC);

    ChildSpec lost = shell("exit 0");
    lost.directory = "/x/y";
    CHECK(rig.sentence_of(lost) ==
          "starting shap_00: cannot change to directory /x/y: No such file or directory");
    ChildSpec greedy = shell("exit 0");
    greedy.limits = {{RLIMIT_NOFILE, 20, 10}};
    CHECK(rig.failure_of(greedy).stage == Stage::limits);
    ChildSpec odd = shell("exit 0");
    odd.oom_score_adj = 5000;
    CHECK(rig.failure_of(odd).stage == Stage::oom_score_adj);
    ChildSpec mute = shell("exit 0");
    mute.stdout_to = ToFd{12345};
    const SpawnFailure failure = rig.failure_of(mute);
    CHECK(failure.stage == Stage::output);
    CHECK_FALSE(failure.is_nobodys_fault);
    // None of them is left for anybody to reap.
    CHECK(::waitid(P_ALL, 0, nullptr, WEXITED | WNOHANG) == -1);
    CHECK(errno == ECHILD);
}

TEST_CASE("a child may do only what its user may" * doctest::skip(::geteuid() != 0)) {
    Rig rig;
    Folder folder;
    REQUIRE(::chmod(folder.path.c_str(), 0700) == 0);
    ChildSpec spec = shell("exit 0");
    spec.identity = nobody();
    spec.directory = folder.path;
    CHECK(rig.sentence_of(spec) ==
          "starting shap_00: cannot change to directory " + folder.path + ": Permission denied");
}

TEST_CASE("a command that may not be executed in one folder of PATH is found in a later one") {
    Rig rig;
    Folder folder;
    folder.file("sh", "no program", 0644);
    ChildSpec spec = command({"sh", "-c", "echo found"});
    spec.environment = {"PATH=/nowhere:" + folder.path + ":/bin"};
    CHECK(rig.output_of(spec) == "found\n");
    spec.environment = {"PATH=/nowhere:" + folder.path};
    const SpawnFailure failure = rig.failure_of(spec);
    CHECK(failure.error == EACCES);
    CHECK(failure.subject == folder.path + "/sh");
}

TEST_CASE("wherever in PATH it stands, a missing interpreter is told from a missing command") {
    Rig rig;
    Folder folder;
    const std::string script = folder.file("interpretless", "#!/no/interpreter\n", 0755);
    for (const std::string& path : {folder.path, folder.path + ":/bin", "/bin:" + folder.path}) {
        ChildSpec spec = command({"interpretless"});
        spec.environment = {"PATH=" + path};
        const SpawnFailure failure = rig.failure_of(spec);
        CHECK(failure.stage == Stage::interpreter);
        CHECK(failure.subject == script);
        spec.argv = {"nosuchcommand"};
        spec.environment = {"PATH=" + path + ":" + script};  // its last folder is none
        const SpawnFailure missing = rig.failure_of(spec);
        CHECK(missing.stage == Stage::exec);
        CHECK(missing.error == ENOENT);
        CHECK(missing.subject == "nosuchcommand");
    }
}

TEST_CASE("no pids for the user of a child is nobody's fault" * doctest::skip(::geteuid() != 0)) {
    Rig rig;
    ChildSpec spec = command({"sleep", "100"});
    spec.identity = Identity{.uid = 54399, .gid = 54399, .groups = {54399}, .user = "busy"};
    spec.limits = {{RLIMIT_NPROC, 0, 0}};
    const Child first = rig.start(spec, 1);
    const SpawnFailure failure = rig.failure_of(spec);
    CHECK(failure.stage == Stage::exec);
    CHECK(failure.error == EAGAIN);
    CHECK(failure.is_nobodys_fault);
    rig.kill(first, 1);
}

TEST_CASE("no pids for muster itself is nobody's fault" * doctest::skip(::geteuid() != 0)) {
    // In a process of its own, which gives up being root.
    const pid_t other = ::fork();
    REQUIRE(other >= 0);
    if (other == 0) {
        auto spawner = Spawner::create(std::nullopt);
        const rlimit none{0, 0};
        ::setrlimit(RLIMIT_NPROC, &none);
        if (::setresuid(54398, 54398, 54398) != 0 || !spawner) ::_exit(2);
        const ChildSpec spec = shell("exit 0");
        ChildPlan plan(spec);
        const auto result = spawner->spawn(plan);
        const auto* failure = std::get_if<SpawnFailure>(&result);
        const bool is_right = failure != nullptr && failure->stage == Stage::clone &&
                              failure->error == EAGAIN && failure->is_nobodys_fault;
        ::_exit(is_right ? 0 : 1);
    }
    int status = -1;
    REQUIRE(::waitpid(other, &status, 0) == other);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE(
    "a stopped child hears its stop signal after a CONT, and one that has ended is no failure") {
    Rig rig;
    const Child child = rig.start(command({"sleep", "100"}), 1);
    CHECK_FALSE(send_signal(child, SignalNumber{9999}).ok());
    REQUIRE(send_signal(child, SignalNumber{SIGSTOP}).ok());
    REQUIRE(send_signal(child, SignalNumber{SIGTERM}).ok());
    REQUIRE(needs_cont(SignalNumber{SIGTERM}));
    REQUIRE(send_signal(child, SignalNumber{SIGCONT}).ok());
    rig.until([&] { return rig.exits.contains(1); });
    CHECK(rig.exits.at(1) == ExitStatus{Killed{SIGTERM, false}});
    CHECK(send_signal(child, SignalNumber{SIGTERM}).ok());
    CHECK_FALSE(needs_cont(SignalNumber{SIGKILL}));
}
