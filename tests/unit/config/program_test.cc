#include <sys/resource.h>

#include <csignal>

#include "config/cpus.h"
#include "config/expand.h"
#include "config/print.h"
#include "fixture.h"

namespace muster::config {
namespace {

using namespace std::chrono_literals;
const Variables with_redis{{"REDIS_URL", "redis://h"}};

TEST_CASE("a program with a command alone has the defaults") {
    const Program p = program("");
    CHECK(p.name == "a");
    CHECK(p.command == std::vector<std::string>{"run"});
    CHECK(p.registry == RegistryKind::none);
    CHECK_FALSE(p.processes);
    CHECK(p.name_template == "{program}-{host}-{pid}-{time}-{rand}");
    CHECK(p.policy.restart == core::Restart::always);
    CHECK(p.policy.exit_codes == std::vector<int>{0});
    CHECK(p.policy.ready_after == Duration{1s});
    CHECK(std::get<ReadyAfter>(p.ready).delay == 1s);
    CHECK(p.policy.start_timeout == 60s);
    CHECK(p.policy.start_limit == 10);
    CHECK(p.policy.on_fatal == core::OnFatal::exit_when_all);
    CHECK(p.policy.orphans == core::Orphans::kill);
    CHECK(p.policy.backoff == core::Backoff{1s, 60s, 2.0, 0.25, 2min});
    CHECK(p.policy.stop ==
          std::vector<core::StopStep>{{SignalNumber{SIGTERM}, 25s}, {SignalNumber{SIGKILL}, 0s}});
    CHECK((p.policy.autostart && p.policy.essential));
    CHECK_FALSE((p.policy.has_registry || p.policy.claims_name));
    CHECK(p.stdout_to.kind == OutputKind::forward);
    CHECK(p.stderr_to.kind == OutputKind::forward);
}

TEST_CASE(
    "with a registry a program is ready when it is registered, and claims a name that repeats") {
    const Program p = program("registry = \"rq\"", with_redis);
    CHECK(p.policy.has_registry);
    CHECK(std::holds_alternative<ReadyRegistered>(p.ready));
    CHECK_FALSE(p.policy.ready_after);
    CHECK_FALSE(p.policy.claims_name);
    CHECK(program("registry = \"rq\"\nname = \"{program}-{process}\"", with_redis)
              .policy.claims_name);
    CHECK(program("registry = \"rq\"\nname = \"{{rand}\"", with_redis).policy.claims_name);
    CHECK_FALSE(program("registry = \"rq\"\nname = \"x{uuid}\"", with_redis).policy.claims_name);
    CHECK_FALSE(program("name = \"fixed\"").policy.claims_name);
    CHECK(program("registry = \"rq\"\nready = { after = 2 }", with_redis).policy.ready_after ==
          Duration{2s});
}

TEST_CASE(
    "a name that has to be claimed cannot be made of the pid, which nobody knows before the "
    "spawn") {
    const std::string told =
        complaint_of("registry = \"rq\"\nname = \"{program}-{pid}\"", with_redis);
    CHECK(has(told, "program.a.name"));
    CHECK(has(told, "claimed before the spawn"));
    CHECK(complaint_of("registry = \"rq\"\nname = \"{pid}-{rand}\"", with_redis).empty());
}

TEST_CASE("a log path cannot be made of the pid, which nobody knows when the file is opened") {
    for (const std::string key : {"stdout", "stderr"}) {
        const std::string told = complaint_of(key + " = \"/var/log/{name}.log\"");
        CHECK(has(told, "program.a." + key + ": a log path"));
        CHECK(has(told, "write {process}"));
    }
    CHECK(complaint_of("stdout = \"./{name}.log\"\nname = \"w-{time}-{rand}\"").empty());
    CHECK(complaint_of("stdout = \"./{process}.log\"").empty());
    CHECK(complaint_of("stdout = \"./{{name}.log\"").empty());
}

TEST_CASE("each key of a program is read") {
    const Program p = program(R"(
registry = "none"
processes = 3
name = "w-{process}"
directory = "/srv/{program}"
user = "app"
group = 100
environment = { A = "1", B = "{name}", N = 5 }
env_file = ".env"
umask = "027"
autostart = false
restart = "on-failure"
exit_codes = [0, 2, 255]
ready = { tcp = "127.0.0.1:6379" }
start_timeout = "5s"
backoff = { initial = "250ms", max = 10, factor = 1.5, jitter = 0, reset_after = "1m" }
start_limit = 0
on_fatal = "stay"
essential = false
stop = ["INT 500ms", "SIGTERM 2s"]
orphans = "wait"
jobs = "leave"
stdout = "logs/{process}.log"
stderr = "null"
)");
    CHECK(p.processes == 3);
    CHECK(p.name_template == "w-{process}");
    CHECK(p.directory == "/srv/{program}");
    CHECK(p.user == "app");
    CHECK(p.group == "100");
    CHECK(p.environment ==
          std::map<std::string, std::string>{{"A", "1"}, {"B", "{name}"}, {"N", "5"}});
    CHECK(p.env_file == ".env");
    CHECK(p.umask == 027);
    CHECK_FALSE(p.policy.autostart);
    CHECK(p.policy.restart == core::Restart::on_failure);
    CHECK(p.policy.exit_codes == std::vector<int>{0, 2, 255});
    CHECK(std::get<ReadyTcp>(p.ready).address == "127.0.0.1:6379");
    CHECK_FALSE(p.policy.ready_after);
    CHECK(p.policy.start_timeout == 5s);
    CHECK(p.policy.backoff == core::Backoff{250ms, 10s, 1.5, 0.0, 1min});
    CHECK(p.policy.start_limit == 0);
    CHECK(p.policy.on_fatal == core::OnFatal::stay);
    CHECK_FALSE(p.policy.essential);
    CHECK(p.policy.stop == std::vector<core::StopStep>{{SignalNumber{SIGINT}, 500ms},
                                                       {SignalNumber{SIGTERM}, 2s},
                                                       {SignalNumber{SIGKILL}, 0s}});
    CHECK(p.policy.orphans == core::Orphans::wait);
    CHECK(p.jobs == Jobs::leave);
    CHECK(p.stdout_to.kind == OutputKind::file);
    CHECK(p.stdout_to.path == "logs/{process}.log");
    CHECK(p.stderr_to.kind == OutputKind::null);
}

TEST_CASE("a command is a string or an array, and never empty") {
    CHECK(loaded("[program.a]\ncommand = [\"x y\", \"{name}\", \"\"]").programs[0].command ==
          std::vector<std::string>{"x y", "{name}", ""});
    CHECK(loaded("[program.a]\ncommand = \"x 'y z' ${V}\"", {{"V", "{a b"}}).programs[0].command ==
          std::vector<std::string>{"x", "y z", "{{a", "b"});
    for (const char* value : {"\"\"", "\"  \"", "[]", "[\"\"]", "\"''\""})
        CHECK(complaint(std::string("[program.a]\ncommand = ") + value) ==
              "m.toml:2:11: program.a.command: names no command to run");
    CHECK(complaint("[program.a]\nuser = \"x\"") == "m.toml:1:10: program.a: has no command");
    CHECK(complaint("[program]\na = 5") ==
          "m.toml:2:5: program.a: is a number, but must be a table");
    CHECK(has(complaint("[program.a]\ncommand = 5"), "a string or an array of strings"));
    CHECK(has(complaint("[program.a]\ncommand = [\"a\", 5]"),
              "2:17: program.a.command: is a number"));
    CHECK(has(complaint("[program.a]\ncommand = \"a {nam}\""), "did you mean {name}?"));
    CHECK(has(complaint("[program.a]\ncommand = \"a 'b\""), "a ' without its pair"));
    CHECK(has(complaint("[program.a]\ncommand = \"a \\u0001\""), "control character"));
    CHECK(has(complaint("[program.a]\ncommand = [\"a\\u0000\"]"), "control character"));
}

TEST_CASE("processes is a number or the processors that we may use") {
    CHECK(program("processes = 1").processes == 1);
    const auto cpus = program("processes = \"cpus\"").processes;
    REQUIRE(cpus);
    CHECK(*cpus >= 1);
    CHECK(*cpus == usable_cpus());
    CHECK(program("processes = \"${N:-2}\"").processes == 2);
    CHECK(program("processes = \"${N}\"", {{"N", "cpus"}}).processes == cpus);
    for (const char* value : {"0", "10001", "-1", "1.5", "\"2\"", "\"cpu\"", "true", "\"${N:-x}\""})
        CHECK_MESSAGE(has(complaint_of(std::string("processes = ") + value),
                          "m.toml:3:13: program.a.processes: "),
                      value);
    CHECK(quota_of("150000 100000") == 1.5);
    CHECK_FALSE(quota_of("max 100000"));
    CHECK_FALSE(quota_of("-1 100000"));
    CHECK_FALSE(quota_of(""));
}

TEST_CASE("limits are a number, unlimited, or soft and hard") {
    const Program p = program(
        R"(limits = { nofile = [1024, "unlimited"], core = 0, as = "1GiB", nice = -5, oom_score_adj = 500, stack = "unlimited", fsize = "64MB" })");
    CHECK(p.nice == -5);
    CHECK(p.oom_score_adj == 500);
    const auto limit = [&](int resource) {
        for (const Limit& l : p.limits) {
            if (l.resource == resource) return std::pair{l.soft, l.hard};
        }
        FAIL("no such limit");
        return std::pair<std::uint64_t, std::uint64_t>{};
    };
    constexpr std::uint64_t none = RLIM_INFINITY;
    CHECK(p.limits.size() == 5);
    CHECK(limit(RLIMIT_NOFILE) == std::pair<std::uint64_t, std::uint64_t>{1024, none});
    CHECK(limit(RLIMIT_CORE) == std::pair<std::uint64_t, std::uint64_t>{0, 0});
    CHECK(limit(RLIMIT_AS) == std::pair<std::uint64_t, std::uint64_t>{1 << 30, 1 << 30});
    CHECK(limit(RLIMIT_STACK) == std::pair<std::uint64_t, std::uint64_t>{none, none});
    CHECK(limit(RLIMIT_FSIZE) == std::pair<std::uint64_t, std::uint64_t>{64'000'000, 64'000'000});
    CHECK(has(complaint_of("limits = { nofiles = 1 }"), "unknown key; did you mean nofile?"));
    for (const char* value :
         {"nofile = [1]", "nofile = [1, 2, 3]", "nofile = [2, 1]", "nofile = -1",
          "nofile = \"much\"", "nofile = [1, \"x\"]", "nice = 20", "nice = -21",
          "oom_score_adj = 1001", "as = \"99999999TiB\"", "cpu = true"})
        CHECK_MESSAGE(
            complaint_of(std::string("limits = { ") + value + " }").starts_with("m.toml:3:"),
            value);
}

TEST_CASE("stop is steps of a signal and a wait, and KILL is the last") {
    const auto steps = [](const char* value) {
        return program(std::string("stop = ") + value).policy.stop;
    };
    using Steps = std::vector<core::StopStep>;
    CHECK(steps("[\"QUIT\", \"KILL\"]") ==
          Steps{{SignalNumber{SIGQUIT}, 25s}, {SignalNumber{SIGKILL}, 0s}});
    CHECK(steps("[\"KILL\"]") == Steps{{SignalNumber{SIGKILL}, 0s}});
    CHECK(steps("[]") == Steps{{SignalNumber{SIGKILL}, 0s}});
    CHECK(steps("\"INT 1s\"") == Steps{{SignalNumber{SIGINT}, 1s}, {SignalNumber{SIGKILL}, 0s}});
    CHECK(has(complaint_of("stop = [\"KILL\", \"TERM\"]"),
              "3:17: program.a.stop: stands after KILL"));
    CHECK(has(complaint_of("stop = [\"KILL 5s\"]"), "KILL is the last step"));
    CHECK(has(complaint_of("stop = [\"TREM 5s\"]"), "did you mean TERM?"));
    CHECK(has(complaint_of("stop = [\"term\"]"), "did you mean TERM?"));
    CHECK(has(complaint_of("stop = [\"TERM soon\"]"), "how long to wait"));
    CHECK(has(complaint_of("stop = [5]"), "must be a string"));
    CHECK(has(complaint_of("stop = 5"), "must be an array"));
    CHECK(has(complaint_of("stop = [\"\"]"), "does not begin with a signal"));
}

TEST_CASE("ready is registered, tcp or after") {
    CHECK(std::get<ReadyTcp>(program("ready = { tcp = \"/run/x.sock\" }").ready).address ==
          "/run/x.sock");
    CHECK(std::get<ReadyTcp>(program("ready = { tcp = \"[::1]:80\" }").ready).address ==
          "[::1]:80");
    CHECK(program("ready = { after = \"0s\" }").policy.ready_after == Duration{0s});
    CHECK(has(complaint_of("ready = \"registered\""),
              "3:9: program.a.ready: 'registered' needs a registry"));
    CHECK(has(complaint_of("ready = \"registerd\""), "did you mean registered?"));
    CHECK(has(complaint_of("ready = { tcp = \"h:1\", after = 1 }"), "just one"));
    CHECK(has(complaint_of("ready = {}"), "just one"));
    CHECK(has(complaint_of("ready = 5"), "must be \"registered\""));
    for (const char* value : {"h", ":80", "h:0", "h:65536", "h:x", "h:80x", ""})
        CHECK_MESSAGE(has(complaint_of(std::string("ready = { tcp = \"") + value + "\" }"),
                          "is not an address"),
                      value);
    for (const char* value :
         {"{ http = \"/\" }", "{ exec = {} }", "{ notify = true }", "\"notify\""})
        CHECK_MESSAGE(
            has(complaint_of(std::string("ready = ") + value), "not supported in this version"),
            value);
}

TEST_CASE("after names programs that are there, in no circle") {
    const auto config = loaded(
        "[program.b]\ncommand=\"x\"\nafter=[\"a:succeeded\", \"c:started\", \"d\"]\n"
        "[program.a]\ncommand=\"x\"\n[program.c]\ncommand=\"x\"\n[program.d]\ncommand=\"x\"");
    REQUIRE(config.programs.size() == 4);
    CHECK(config.programs[0].name == "b");  // the file's order, not the alphabet's
    CHECK(config.programs[1].name == "a");
    CHECK(config.programs[0].after ==
          std::vector<core::Dependency>{{"a", core::Condition::succeeded},
                                        {"c", core::Condition::started},
                                        {"d", core::Condition::ready}});
    const std::string two = "[program.redis]\ncommand=\"x\"\n[program.b]\ncommand=\"x\"\n";
    CHECK(complaint(two + "after = [\"rediss\"]") ==
          "m.toml:5:10: program.b.after: there is no program 'rediss'; did you mean redis?");
    CHECK(has(complaint(two + "after = [\"redis\", \"redis:started\"]"), "is there twice"));
    CHECK(has(complaint(two + "after = [\"redis:redy\"]"), "did you mean ready?"));
    CHECK(has(complaint(two + "after = [5]"), "must be a string"));
    CHECK(complaint(two + "after = [\"b\"]") ==
          "m.toml:5:10: program.b.after: goes in a circle: b → b");
    CHECK(
        complaint(
            "[program.a]\ncommand=\"x\"\nafter=[\"b\"]\n[program.b]\ncommand=\"x\"\nafter=[\"c\"]\n"
            "[program.c]\ncommand=\"x\"\nafter=[\"a\"]\n") ==
        "m.toml:9:8: program.c.after: goes in a circle: a → b → c → a");
}

TEST_CASE("I1: no two processes have one id, no program a name that is no name") {
    const std::string two = "[program.shap]\ncommand=\"x\"\nprocesses=2\n";
    CHECK(complaint(two + "[program.shap_01]\ncommand=\"x\"") ==
          "m.toml:4:10: program.shap_01: program shap has a process of this name");
    CHECK(complaint(two + "[program.shap_02]\ncommand=\"x\"").empty());
    CHECK(complaint(two + "[program.shap_1]\ncommand=\"x\"").empty());
    CHECK(has(complaint("[program.all]\ncommand=\"x\""), "means all programs"));
    CHECK(has(complaint("[program.\"a b\"]\ncommand=\"x\""), "a program's name is"));
    CHECK(has(complaint("[program.\"\"]\ncommand=\"x\""), "a program's name is"));
    CHECK(has(complaint("[program.\"a:b\"]\ncommand=\"x\""), "a program's name is"));
    CHECK(loaded("[program.\"A-b_c.9\"]\ncommand=\"x\"").programs[0].name == "A-b_c.9");
}

TEST_CASE("a worker's name differs by process where there are several") {
    const std::string two = "registry = \"rq\"\nprocesses = 2\n";
    CHECK(
        has(complaint_of(two + "name = \"fixed\"", with_redis), "is the same for all 2 processes"));
    CHECK(complaint_of(two + "name = \"fixed-{index}\"", with_redis).empty());
    CHECK(has(complaint_of("name = \"\""), "1 to 256"));
    CHECK(has(complaint_of("name = \"{name}\""), "{name} cannot stand here"));
}

TEST_CASE("an output is a word or a path, and a mistyped word is no path") {
    const auto out = [](const char* value) {
        return program(std::string("stdout = \"") + value + "\"").stdout_to;
    };
    CHECK(out("inherit").kind == OutputKind::inherit);
    CHECK(out("/dev/null").kind == OutputKind::null);
    CHECK(out("a.log").path == "a.log");
    CHECK(out("/var/log/{program}").path == "/var/log/{program}");
    CHECK(has(complaint_of("stdout = \"forwrad\""), "did you mean forward?"));
    CHECK(has(complaint_of("stderr = \"log\""), "is neither forward, inherit, null nor a path"));
    CHECK(has(complaint_of("stdout = \"/dev/stdout\""), "cannot be opened by path"));
    CHECK(has(complaint_of("stdout = \"/x/{pid}\""), "{pid} cannot stand here"));
}

TEST_CASE("a value that is none is refused at its place") {
    const auto at = [](const std::string& line) {
        const auto text = complaint_of(line);
        return text.starts_with("m.toml:3:") && text.find('\n') == std::string::npos;
    };
    for (const char* line : {"umask = 22",
                             "umask = \"9\"",
                             "umask = \"1000\"",
                             "umask = \"\"",
                             "exit_codes = [256]",
                             "exit_codes = [-1]",
                             "exit_codes = 0",
                             "exit_codes = [\"0\"]",
                             "restart = \"sometimes\"",
                             "restart = true",
                             "autostart = \"yes\"",
                             "essential = 1",
                             "start_limit = -1",
                             "start_timeout = 0",
                             "start_timeout = \"1 s\"",
                             "start_timeout = -1",
                             "start_timeout = true",
                             "backoff = 1",
                             "backoff = { factor = 0.5 }",
                             "backoff = { jitter = 2 }",
                             "backoff = { jitter = nan }",
                             "backoff = { initial = \"x\" }",
                             "orphans = \"keep\"",
                             "jobs = \"drop\"",
                             "on_fatal = \"die\"",
                             "directory = \"\"",
                             "user = \"\"",
                             "user = -1",
                             "user = true",
                             "env_file = \"\"",
                             "environment = []",
                             "environment = { A = true }",
                             "environment = { \"A=B\" = \"x\" }",
                             "environment = { \"\" = \"x\" }",
                             "environment = { MUSTER_PROCESS = \"x\" }",
                             "environment = { A = \"{x}\" }",
                             "registry = \"redis-queue\"",
                             "name = 2020-01-01",
                             "directory = \"{nam}\"",
                             "directory = \"${X:?needed}\"",
                             "after = 5"})
        CHECK_MESSAGE(at(line), line << " gave " << complaint_of(line));
}

TEST_CASE("what does not act in this version is refused, never ignored") {
    for (const char* line :
         {"singleton = false", "health = { tcp = \"x:1\" }", "registry = \"arq\"",
          "registry = \"huey\"", "registry = \"bee-queue\""}) {
        const auto text = complaint_of(line);
        CHECK_MESSAGE(has(text, "not supported in this version"), line << " gave " << text);
    }
    CHECK(
        has(complaint_of("[program.a.health]\nexec = {}"), "program.a.health.exec: not supported"));
}

TEST_CASE("what becomes of jobs, and when a registered worker counts as hung") {
    const Program usual = program("registry = \"rq\"", with_redis);
    CHECK(usual.poison == Poison{.deaths = 3, .within = 24h});
    CHECK(usual.health_registry.missing_after == 60s);
    CHECK(usual.health_registry.heartbeat_timeout == 10min);
    const Program other = program(
        "registry = \"rq\"\njobs = \"fail\"\npoison = { deaths = 0, within = \"2h\" }\n"
        "health = { registry = { missing_after = \"5s\", heartbeat_timeout = \"1m\" } }",
        with_redis);
    CHECK(other.jobs == Jobs::fail);
    CHECK(other.poison == Poison{.deaths = 0, .within = 2h});
    CHECK(other.health_registry.missing_after == 5s);
    CHECK(other.health_registry.heartbeat_timeout == 1min);
    for (const char* line :
         {"poison = 3", "poison = { deaths = -1 }", "poison = { within = \"0s\" }",
          "poison = { death = 3 }", "health = 1", "health = { registry = true }",
          "registry = \"rq\"\nhealth = { registry = { missing_after = \"1ms\" } }",
          "health = { registry = { missing_after = \"1m\" } }"})  // it has no registry
        CHECK_MESSAGE(!complaint_of(line).empty(), line);
}

TEST_CASE("where output goes, how a file is rotated, and what happens to what finds no room") {
    const Program plain = program("");
    CHECK(plain.log_rotate.size == 10'000'000);
    CHECK(plain.log_rotate.keep == 5);
    CHECK_FALSE(plain.log_rotate.compress);
    CHECK(plain.overflow == Overflow::wait);
    const Program told = program(
        "stdout = \"/var/log/{process}.log\"\nstderr = \"stdout\"\noverflow = \"drop\"\n"
        "log_rotate = { size = \"64MB\", keep = 0, compress = true }");
    CHECK(told.stdout_to.path == "/var/log/{process}.log");
    CHECK(told.stderr_to.kind == OutputKind::as_stdout);
    CHECK(told.overflow == Overflow::drop);
    CHECK(told.log_rotate.size == 64'000'000);
    CHECK(told.log_rotate.keep == 0);
    CHECK(told.log_rotate.compress);
    CHECK(program("log_rotate = { size = 0 }").log_rotate.size == 0);
    CHECK(has(complaint_of("log_rotate = { size = 100 }"), "must be at least 4096 bytes, or 0"));
    CHECK(has(complaint_of("log_rotate = { maxbytes = 1 }"), "did you mean size?"));
    CHECK(has(complaint_of("log_rotate = { keep = -1 }"), "log_rotate.keep"));
    CHECK(has(complaint_of("overflow = \"block\""), "is not one of wait, drop"));
    CHECK(has(complaint_of("stdout = \"stdout\""), "is neither forward, inherit, null nor a path"));
}

TEST_CASE("what other supervisors call it is led to our word") {
    const std::pair<const char*, const char*> names[] = {
        {"startsecs", "start_timeout, or ready = { after"},
        {"start_sec", "start_timeout, or ready"},
        {"startretries", "start_limit"},
        {"numprocs", "processes"},
        {"process_name", "name"},
        {"autorestart", "restart"},
        {"exitcodes", "exit_codes"},
        {"stopsignal", "stop = ["},
        {"stopwaitsecs", "stop = ["},
        {"killasgroup", "orphans"},
        {"stdout_logfile", "stdout"},
        {"stderr_logfile", "stderr"},
        {"cwd", "directory"},
        {"env", "environment"},
        {"usr", "user"},
        {"enviroment", "environment"},
        {"comand", "command"},
        {"restrat", "restart"}};
    for (const auto& [name, here] : names) {
        const auto text = complaint_of(std::string(name) + " = 1");
        CHECK_MESSAGE(text.starts_with(std::string("m.toml:3:1: program.a.") + name +
                                       ": unknown key; did you mean " + here),
                      text);
    }
    CHECK(complaint_of("zzzzzzzzz = 1") == "m.toml:3:1: program.a.zzzzzzzzz: unknown key");
}

}  // namespace
TEST_CASE("a listener hears events by their names, and starts first") {
    const auto config = loaded(
        "[program.a]\ncommand = 'x'\nlistener = { events = ['TICK_60', 'PROCESS_GROUP'] }\n");
    const Program& program = config.programs.front();
    REQUIRE(program.listener);
    CHECK(program.listener->events.all().size() == 3);
    CHECK(program.listener->buffer == 10);
    CHECK(program.priority == 0);
    CHECK_FALSE(program.policy.essential);
    CHECK(loaded(printed(config)).programs.front() == program);
    const auto of = [](const std::string& listener, const std::string& more = "") {
        return complaint("[program.a]\ncommand = 'x'\nlistener = " + listener + "\n" + more);
    };
    CHECK(has(of("{ events = ['TICK_6'] }"), "'TICK_6' is no event; did you mean TICK"));
    CHECK(has(of("{ events = ['PROCESS_LOG_STDOUT'] }"), "is not supported in this version: a "));
    CHECK(has(of("{ buffer = 5 }"), "has no events"));
    CHECK(has(of("{ events = 'TICK', buffer = 0 }"), "program.a.listener.buffer"));
    CHECK(has(of("{ events = 'TICK' }", "stdout = 'forward'"), "where it answers"));
    CHECK(has(of("{ events = 'TICK' }", "stderr = 'stdout'"), "must go elsewhere"));
    CHECK(has(of("{ events = 'TICK', buffer_size = 1 }"), "buffer"));
}

TEST_CASE("autoscale says between which sizes, and by which queues") {
    const Program p = program(
        "registry = 'rq'\nautoscale = { max = 8, queues = ['shap-jobs', 'mail'] }", with_redis);
    REQUIRE(p.autoscale);
    CHECK(p.autoscale->min == 1);
    CHECK(p.autoscale->max == 8);
    CHECK(p.autoscale->queues == std::vector<std::string>{"shap-jobs", "mail"});
    CHECK(p.autoscale->jobs_per_process == 20);
    CHECK(p.autoscale->down_after == 5min);
    CHECK(p.processes == 1);
    CHECK(p.most_processes() == 8);
    const Config config =
        loaded(with("registry = 'celery'\n[program.a.autoscale]\nmin = 2\nmax = 3\nqueues = "
                    "'a\"b'\njobs_per_process = 1\ndown_after = '90s'"),
               with_redis);
    CHECK(config.programs.front().processes == 2);
    CHECK(loaded(printed(config)).programs.front() == config.programs.front());
    const auto of = [](const std::string& table, const std::string& more = "registry = 'rq'") {
        return complaint_of(more + "\nautoscale = " + table, with_redis);
    };
    CHECK(has(of("{ min = 3, max = 2, queues = ['q'] }"), "min (3) is more than max (2)"));
    CHECK(has(of("{ max = 2 }"), "has no queues, as in { max = 8, queues"));
    CHECK(has(of("{ max = 2, queues = [] }"), "queues: names no queue"));
    CHECK(has(of("{ queues = ['q'] }"), "has no max"));
    CHECK(has(of("{ max = 2, queues = [''] }"), "is no queue"));
    CHECK(has(of("{ max = 2, queues = ['q', 'q'] }"), "'q' is there twice"));
    CHECK(has(of("{ min = 0, max = 2, queues = ['q'] }"), "program.a.autoscale.min"));
    CHECK(has(of("{ max = 2, queues = ['q'], cooldown = '1m' }"), "down_after"));
    CHECK(has(of("{ max = 2, queues = ['q'], down_after = '10ms' }"), "must be at least 1s"));
    CHECK(has(of("{ max = 2, queues = ['q'] }", "registry = 'rq'\nprocesses = 2"),
              "program.a.processes: the program has autoscale"));
    for (const char* registry :
         {"", "registry = 'none'", "registry = 'custom'\ncustom = { set = 'workers' }"}) {
        CHECK(has(of("{ max = 2, queues = ['q'] }", registry),
                  "program.a.autoscale: needs a registry whose queues are known: rq, "));
    }
    CHECK(has(complaint_of("registry = 'rq'\nautoscale = { max = 2, queues = ['q'] }"),
              "a registry needs a Redis"));
    CHECK(has(of("{ max = 2, queues = ['q'] }", "registry = 'rq'\nname = '{program}'"),
              "is the same for all 2 processes"));
    CHECK(has(complaint("[program.a]\ncommand = 'x'\nregistry = 'rq'\nautoscale = { max = 3, "
                        "queues = ['q'] }\n[program.a_02]\ncommand = 'x'\n",
                        with_redis),
              "program a has a process of this name"));
}

}  // namespace muster::config
