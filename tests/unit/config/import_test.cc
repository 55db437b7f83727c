#include "config/import.h"

#include "config/expand.h"
#include "config/ini.h"
#include "fixture.h"

namespace muster::config {

namespace {

Includes no_includes() {
    return [](const std::string&, const std::string&) -> Result<std::vector<Source>> {
        return std::vector<Source>{};
    };
}

Imported imported(const std::string& text) {
    auto result = import_supervisord({"s.conf", "/srv/app", text}, no_includes());
    if (!result) FAIL(result.error().message());
    return std::move(*result);
}

// The one program of a supervisord.conf, as our own loader reads what comes out.
Program program_of(const std::string& keys, Variables variables = {}) {
    const auto result = imported("[program:web]\ncommand=run\n" + keys);
    CHECK(result.left_out.empty());
    auto config = loaded(result.toml, std::move(variables));
    REQUIRE(config.programs.size() == 1);
    return std::move(config.programs.front());
}

std::string left_out(const std::string& keys) {
    const auto result = imported("[program:web]\ncommand=run\n" + keys);
    loaded(result.toml);
    REQUIRE(result.left_out.size() == 1);
    CHECK(has(result.toml, result.left_out.front()));
    return result.left_out.front();
}

}  // namespace

TEST_CASE("an INI file is read as configparser reads it") {
    const auto file = read_ini(
        "; above\n[a]\nKey = one ; behind\nk2: two\n  and on\n\n# "
        "next\n[b]\nx=a;b\n[a]\nkey=three\n");
    REQUIRE(file.ok());
    REQUIRE(file->sections.size() == 2);
    CHECK(file->sections[0].comments == std::vector<std::string>{"above"});
    REQUIRE(file->sections[0].entries.size() == 3);
    CHECK(file->sections[0].entries[0].value == "one");
    CHECK(file->sections[0].entries[0].comments == std::vector<std::string>{"behind"});
    CHECK(file->sections[0].find("k2")->value == "two\nand on");
    CHECK(file->sections[0].find("key")->value == "three");
    CHECK(file->sections[1].comments == std::vector<std::string>{"next"});
    CHECK(file->sections[1].find("x")->value == "a;b");
}

TEST_CASE("an INI file that is none is refused with its line") {
    CHECK(read_ini("key=1\n").error().message() == "line 1: a key before the first [section]");
    CHECK(read_ini("[a]\nword\n").error().message() ==
          "line 2: is neither a [section] nor key = value");
    CHECK(read_ini("[a\n").error().message() == "line 1: a [ without its ]");
    CHECK_FALSE(read_ini(std::string_view("[a]\nx=\0", 7)).ok());
}

TEST_CASE("what supervisord does where nothing is said is said") {
    const auto program = program_of("");
    CHECK(program.policy.restart == core::Restart::on_failure);
    CHECK(program.policy.start_limit == 4);
    CHECK(program.policy.on_fatal == core::OnFatal::stay);
    REQUIRE(program.policy.stop.size() == 2);
    CHECK(program.policy.stop[0] == core::StopStep{SignalNumber{15}, std::chrono::seconds{10}});
    CHECK_FALSE(program.processes);
}

TEST_CASE("a program's keys mean the same") {
    const auto program = program_of(
        "numprocs=3\nautostart=no\nstartsecs=7\nstartretries=9\nautorestart=true\nexitcodes=0,2\n"
        "stopsignal=INT\nstopwaitsecs=4\ndirectory=%(here)s/x\numask=027\nuser=app\n"
        "stdout_logfile=/dev/fd/1\nstderr_logfile=NONE\n"
        "environment=A=\"x, y\",B='%(ENV_HOME)s',C=%(process_num)d\n",
        {{"HOME", "/root"}});
    CHECK(program.processes == 3u);
    CHECK_FALSE(program.policy.autostart);
    CHECK(std::get<ReadyAfter>(program.ready).delay == std::chrono::seconds{7});
    CHECK(program.policy.start_limit == 10);
    CHECK(program.policy.restart == core::Restart::always);
    CHECK(program.policy.exit_codes == std::vector<int>{0, 2});
    CHECK(program.policy.stop[0] == core::StopStep{SignalNumber{2}, std::chrono::seconds{4}});
    CHECK(program.directory == "/srv/app/x");
    CHECK(program.umask == 027u);
    CHECK(program.user == "app");
    CHECK(program.stdout_to.kind == OutputKind::forward);
    CHECK(program.stderr_to.kind == OutputKind::null);
    CHECK(program.environment == Variables{{"A", "x, y"}, {"B", "/root"}, {"C", "{index}"}});
}

TEST_CASE("braces and dollars that mean something only here are escaped") {
    const auto result =
        imported("[program:web]\ncommand=sh -c 'echo ${HOME} {x} 100%% %(program_name)s'\n");
    const auto config = loaded(result.toml);
    REQUIRE(config.programs.size() == 1);
    CHECK(config.programs[0].command ==
          std::vector<std::string>{"sh", "-c", "echo ${{HOME} {{x} 100% {program}"});
    CHECK(fill(config.programs[0].command[2], {.program = "web"}) == "echo ${HOME} {x} 100% web");
}

TEST_CASE("the supervisor's environment is every program's, whose own wins") {
    const auto result = imported(
        "[program:a]\ncommand=x\nenvironment=B=\"2\"\n[supervisord]\nenvironment=A=\"1\",B=\"1\"\n"
        "identifier=here\nloglevel=blather\n[unix_http_server]\nfile=/run/s.sock\n");
    const auto config = loaded(result.toml);
    REQUIRE(config.programs.size() == 1);
    CHECK(config.programs[0].environment == Variables{{"A", "1"}, {"B", "2"}});
    CHECK(config.supervisor.service == "here");
    CHECK(config.supervisor.log_level == LogLevel::debug);
    CHECK(config.supervisor.control == "/run/s.sock");
}

TEST_CASE("the author's comments stay beside what they were said of") {
    const auto result = imported(
        "# of the whole\n[program:a]\n; of the command\ncommand=x ; and more\n# the end\n");
    CHECK(has(result.toml, "# of the whole\n[program.a]\n# of the command\n# and more\ncommand"));
    CHECK(result.toml.ends_with("\n# the end\n"));
}

TEST_CASE("what cannot be carried over is listed with its place, and at the head") {
    CHECK(left_out("serverurl=http://x\n") ==
          "s.conf:3: [program:web] serverurl: children find the control socket in MUSTER_CONTROL");
    CHECK(has(left_out("stdout_events_enabled=true\n"), "stdout_events_enabled: not supported"));
    CHECK(has(left_out("numprocs=2\nnumprocs_start=5\n"), "numprocs_start: processes are counted"));
    CHECK(has(left_out("startsec=1\n"), "startsec: unknown to supervisord"));
    CHECK(has(left_out("[eventlistener:e]\ncommand=x\n"), "[eventlistener:e] has no event"));
    CHECK(has(left_out("[fcgi-program:e]\ncommand=x\n"), "[fcgi-program:e] a socket"));
    CHECK(has(left_out("[program:e]\n"), "[program:e] has no command"));
}

TEST_CASE("an event listener is a program that listens") {
    const auto result = imported(
        "[eventlistener:mail]\ncommand=crashmail -a\nevents=PROCESS_STATE_EXITED,TICK\n"
        "buffer_size=50\npriority=-1\n");
    CHECK(result.left_out.empty());
    const auto config = loaded(result.toml);
    REQUIRE(config.programs.size() == 1);
    const Program& mail = config.programs.front();
    CHECK(mail.name == "mail");
    REQUIRE(mail.listener);
    CHECK(mail.listener->events.all().size() == 4);
    CHECK(mail.listener->buffer == 50);
    CHECK(mail.priority == 0);
    const auto partly = imported(
        "[eventlistener:e]\ncommand=x\nevents=EVENT,PROCESS_LOG\nredirect_stderr=true\n"
        "stdout_logfile=/x\nresult_handler=a:b\n");
    loaded(partly.toml);
    REQUIRE(partly.left_out.size() == 4);
    CHECK(has(partly.left_out[0], "events: PROCESS_LOG is never sent here"));
    CHECK(has(partly.left_out[3], "redirect_stderr: a listener's stdout is where it answers"));
}

TEST_CASE("a value that is no number is left out, and writes no TOML of its own") {
    CHECK(has(left_out("priority=1]\n"), "priority: is no number"));
    CHECK(has(left_out("startsecs=1s\" }\n"), "startsecs: is no number"));
    CHECK(has(left_out("exitcodes=0, x = 1\n"), "exitcodes: are no numbers"));
    CHECK(has(left_out("[group:g]\nprograms=web\npriority=high\n"), "priority: is no number"));
    CHECK(program_of("stdout_logfile=/a\nstdout_logfile_backups=x\n").log_rotate.keep == 10);
    CHECK(program_of("exitcodes=00,03\n").policy.exit_codes == std::vector<int>{0, 3});
    const auto result = imported("[program:web]\ncommand=run\nstopsignal=\"a\nuser=\"b\n");
    CHECK(has(result.toml, R"(stop = ["\"a 10s", "KILL"])"));
    CHECK(program_of("environment=A=1,A=2\n").environment == Variables{{"A", "2"}});
    CHECK(has(read_ini("[a]\nb=\xff\n").error().message(), "line 2: is no UTF-8"));
}

TEST_CASE("a section of two files is taken from the first, and that is said") {
    const Includes includes = [](const std::string&,
                                 const std::string&) -> Result<std::vector<Source>> {
        return std::vector<Source>{{"i.conf", "/", "[program:a]\ncommand=b\n[unix_http_server]\n"}};
    };
    const auto result = import_supervisord(
        {"s.conf", "/", "[include]\nfiles=x\n[program:a]\ncommand=a\n[unix_http_server]\n"},
        includes);
    REQUIRE(result.ok());
    CHECK(loaded(result->toml).programs.size() == 1);
    REQUIRE(result->left_out.size() == 2);
    CHECK(has(result->left_out[0], "i.conf:1: [program:a] is in another file already"));
}

TEST_CASE("included files are read in their order, and only from the main one") {
    std::vector<std::string> asked;
    const Includes includes = [&](const std::string& here,
                                  const std::string& pattern) -> Result<std::vector<Source>> {
        asked.push_back(here + ":" + pattern);
        return std::vector<Source>{
            {"i.conf", "/inc", "[program:b]\ncommand=%(here)s/b\n[include]\nfiles=never\n"}};
    };
    const auto result = import_supervisord(
        {"s.conf", "/srv", "[include]\nfiles = conf.d/*.conf\n[program:a]\ncommand=a\n"}, includes);
    REQUIRE(result.ok());
    CHECK(asked == std::vector<std::string>{"/srv:conf.d/*.conf"});
    const auto config = loaded(result->toml);
    REQUIRE(config.programs.size() == 2);
    CHECK(config.programs[1].command == std::vector<std::string>{"/inc/b"});
}

TEST_CASE("a file without programs is no supervisord.conf") {
    const auto result = import_supervisord({"s.conf", "/", "[a]\nb=1\n"}, no_includes());
    REQUIRE_FALSE(result.ok());
    CHECK(has(result.error().message(), "s.conf has no [program:…]"));
}

TEST_CASE("a Procfile's lines are run as a shell would, release first") {
    const auto result =
        import_procfile({"Procfile", "/",
                         "# first\nrelease: ./migrate --all\nweb: serve -p ${PORT} {a}\nbroken\n"
                         "web: again\n"},
                        true);
    REQUIRE(result.ok());
    const auto config = loaded(result->toml);
    REQUIRE(config.programs.size() == 2);
    CHECK(config.programs[0].command == std::vector<std::string>{"./migrate", "--all"});
    CHECK(config.programs[0].policy.restart == core::Restart::never);
    CHECK(fill(config.programs[1].command[2], {}) == "serve -p ${PORT} {a}");
    CHECK(config.programs[1].env_file == ".env");
    REQUIRE(config.programs[1].after.size() == 1);
    CHECK(config.programs[1].after[0].condition == core::Condition::succeeded);
    CHECK(result->left_out == std::vector<std::string>{"Procfile:4: is not \"name: command\"",
                                                       "Procfile:5: web is there twice"});
    CHECK_FALSE(import_procfile({"x", "/", "\n"}, false).ok());
}

}  // namespace muster::config
