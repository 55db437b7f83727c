#include "config/load.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "config/print.h"
#include "fixture.h"

namespace muster::config {
namespace {

using namespace std::chrono_literals;

class Folder {
public:
    Folder() {
        std::string path =
            (std::filesystem::temp_directory_path() / "muster-config-XXXXXX").string();
        if (mkdtemp(path.data()) == nullptr) FAIL("no temporary folder");
        path_ = path;
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() { std::filesystem::remove_all(path_); }

    [[nodiscard]] std::string write(const std::string& name, const std::string& text) const {
        std::ofstream(path_ / name) << text;
        return (path_ / name).string();
    }
    [[nodiscard]] std::string path() const { return path_.string(); }

private:
    std::filesystem::path path_;
};

std::vector<Problem> problems_of_file(const std::string& path) {
    const auto loaded = load_file(path, environment_of({}));
    const auto* problems = std::get_if<std::vector<Problem>>(&loaded);
    return problems == nullptr ? std::vector<Problem>{} : *problems;
}

const std::string worker = "[program.w]\ncommand = \"rq worker\"\nregistry = \"rq\"\n";

TEST_CASE("the tables supervisor and redis are read") {
    const auto config = loaded(R"(
[supervisor]
service = "analytics"
control = "/run/m.sock"
log = { level = "debug", format = "text" }
shutdown_timeout = "1m"
[redis]
url = "redis://u:p@h:1/2"
prefix = "m2"
connect_timeout = 1
command_timeout = 1.5
wait = "0s"
release_wait = "100ms"
sweep = 45
lease = "3m"
)");
    CHECK(config.supervisor.service == "analytics");
    CHECK(config.supervisor.control == "/run/m.sock");
    CHECK(config.supervisor.log_level == LogLevel::debug);
    CHECK(config.supervisor.shutdown_timeout == 1min);
    REQUIRE(config.redis);
    CHECK(config.redis->url == "redis://u:p@h:1/2");
    CHECK(config.redis->prefix == "m2");
    CHECK(config.redis->connect_timeout == 1s);
    CHECK(config.redis->command_timeout == 1500ms);
    CHECK(config.redis->wait == 0s);
    CHECK(config.redis->sweep == 45s);
    CHECK(config.redis->release_wait == 100ms);
    CHECK(config.redis->lease == 3min);
}

TEST_CASE("an empty file has the defaults, and the hostname is the service") {
    const auto config = loaded("");
    CHECK_FALSE(config.supervisor.service.empty());
    CHECK_FALSE(config.supervisor.control);
    CHECK(config.supervisor.log_level == LogLevel::info);
    CHECK(config.supervisor.shutdown_timeout == 28s);
    CHECK_FALSE(config.redis);
    CHECK(config.programs.empty());
}

TEST_CASE("a registry's Redis comes from the file, else from the environment") {
    const Variables both{{"MUSTER_REDIS_URL", "redis://mine"}, {"REDIS_URL", "redis://all"}};
    CHECK(loaded(worker, both).redis->url == "redis://mine");
    CHECK(loaded(worker, {{"MUSTER_REDIS_URL", ""}, {"REDIS_URL", "redis://all"}}).redis->url ==
          "redis://all");
    CHECK(loaded(worker + "[redis]\nurl = \"redis://file\"", both).redis->url == "redis://file");
    CHECK(loaded(worker + "[redis]\nwait = 1", both).redis->wait == 1s);
    CHECK(loaded(worker + "[redis]\nurl = \"${X:-redis://d}\"").redis->url == "redis://d");
    CHECK(has(complaint(worker), "m.toml:1:10: program.w: a registry needs a Redis"));
    CHECK(has(complaint(worker, {{"REDIS_URL", ""}}), "a registry needs a Redis"));
    CHECK(complaint(worker, {{"REDIS_URL", "http://x"}})
              .starts_with("$REDIS_URL: the Redis URL does not begin with redis://, "));
}

TEST_CASE("a REDIS_URL is none of our business while no program has a registry") {
    CHECK_FALSE(loaded(with(""), {{"REDIS_URL", "rediss://others"}}).redis);
}

TEST_CASE("a Redis URL may stand in a file of its own") {
    const Folder folder;
    const auto path = folder.write("url", "redis://:secret@h\n");
    const auto redis = loaded("[redis]\nurl_file = \"" + path + "\"").redis;
    CHECK(redis->url == "redis://:secret@h");
    CHECK(redis->url_file == path);
    CHECK(*config::read_url_file(path) == "redis://:secret@h");
    CHECK(config::read_url_file("/none").error().message() ==
          "redis.url_file /none: cannot be read: No such file or directory");
    const auto bad = folder.write("bad", "hunter2");
    CHECK(has(config::read_url_file(bad).error().message(), "the Redis URL has no scheme"));
    CHECK_FALSE(has(config::read_url_file(bad).error().message(), "hunter2"));
    const auto pipe = folder.path() + "/pipe";
    REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
    CHECK(has(config::read_url_file(pipe).error().message(), "is empty"));  // not waited for
    CHECK(has(config::read_url_file(folder.path()).error().message(), "Is a directory"));
    CHECK(has(complaint("[redis]\nurl_file = \"" + folder.path() + "/none\""),
              "m.toml:2:12: redis.url_file: cannot be read: No such file or directory"));
    CHECK(has(complaint("[redis]\nurl_file = \"" + folder.write("e", "") + "\""), "is empty"));
    const auto two = complaint("[redis]\nurl = \"redis://h\"\nurl_file = \"" + path + "\"");
    CHECK(two == "m.toml:3:1: redis.url_file: there is a url too; write one of them");
}

TEST_CASE("TLS is as the table says, and says nothing where it says nothing") {
    const Folder folder;
    const auto ca = folder.write("ca.pem", "x");
    const auto url = std::string("[redis]\nurl = \"redis://h\"\n");
    CHECK(loaded(url).redis->tls == config::Tls{});
    CHECK(loaded(url + "tls = { ca_file = \"\", verify = \"full\" }").redis->tls == config::Tls{});
    const auto config =
        loaded(url + "tls = { ca_file = \"" + ca + "\", verify = \"ca\", cert_file = \"" + ca +
               "\", key_file = \"" + ca + "\" }");
    const config::Tls& tls = config.redis->tls;
    CHECK(tls.ca_file == ca);
    CHECK(tls.verify == config::Tls::Verify::ca);
    CHECK(tls.cert_file == ca);
    CHECK(tls.key_file == ca);
    CHECK(has(config::printed(config), "verify = \"ca\""));
    CHECK(loaded(config::printed(config)).redis->tls == tls);
}

TEST_CASE("economy stretches what the file does not say") {
    const auto redis = [](const std::string& lines) {
        return *loaded("[redis]\nurl = \"redis://h\"\n" + lines).redis;
    };
    CHECK(redis("").lease == 90s);
    CHECK(redis("").lease_renewal() == 30s);
    CHECK(redis("").sweep == 120s);
    CHECK(redis("").own_check == 60s);
    CHECK(redis("economy = true").lease == 180s);
    CHECK(redis("economy = true").sweep == 600s);
    CHECK(redis("economy = true").own_check == 300s);
    CHECK(redis("lease = \"30s\"\neconomy = true").lease == 30s);
    CHECK(redis("economy = true\nsweep = \"1m\"").sweep == 60s);
    CHECK(redis("economy = false\nsweep = 5").sweep == 5s);
}

TEST_CASE("I12: a wrong Redis URL is told without a piece of it") {
    for (const char* url :
         {"", "h0st:1", "http://hunter2@h", "rediss://:hunter2@h:0", "redis+sentinel://:hunter2@h",
          "redis+sentinel://:hunter2@h,/s", "redis+sentinel://:hunter2@/s/0",
          "redis+sentinel://:hunter2@a:1,b:0/s", "redis+sentinel://:hunter2@a/s/x",
          "redis+sentinel://:hunter2@a//0", "redis://:hunter2@h:0", "redis://:hunter2@h:hunter2",
          "redis://h/hunter2", "redis://:%hunter2@h", "unix://hunter2@", "unix://hunter2/x",
          "redis://[hunter2", "redis://[::1]hunter2"}) {
        const auto text = complaint(std::string("[redis]\nurl = \"") + url + "\"");
        CHECK_MESSAGE(text.starts_with("m.toml:2:7: redis.url: the Redis URL "),
                      url << ": " << text);
        CHECK_MESSAGE(!has(text, "hunter2"), text);
    }
    for (const char* url :
         {"redis://h", "redis://", "redis://:p@h:1/2", "redis://p@[::1]:1", "unix:///x?db=1",
          "unix://u:p@/run/redis.sock", "redis://u:p%40@h",
          "redis+sentinel://u:p@a:1,b,[::1]:2/s/3?sentinel_password=x", "redis+sentinel://a/s"})
        CHECK_MESSAGE(complaint(std::string("[redis]\nurl = \"") + url + "\"").empty(), url);
    const auto unquoted = complaint("[redis]\nurl = redis://:hunter2@h");
    CHECK(unquoted.starts_with("m.toml:2:7: "));
    CHECK_FALSE(has(unquoted, "hunter2"));
    CHECK_FALSE(has(complaint("[redis]\nurl = true-hunter2"), "hunter2"));
    const auto value = complaint_of("environment = { A = \"{hunter2}\" }");
    CHECK(has(value, "program.a.environment.A: a { that begins no placeholder"));
    CHECK_FALSE(has(value, "hunter2"));
    CHECK_FALSE(has(complaint_of("restart = \"${P}\"", {{"P", "hunter2"}}), "hunter2"));
    CHECK_FALSE(has(complaint_of("start_timeout = \"${P}\"", {{"P", "hunter2"}}), "hunter2"));
}

TEST_CASE("every error is shown, in the file's order, with its place") {
    CHECK(
        complaints("[supervisor]\nservce = \"x\"\nlog = { level = \"verbose\" }\n"
                   "[program.b]\ncommand = \"x\"\nrestrat = \"always\"\nrestart = \"alway\"\n"
                   "[program.a]\ncommand = 5\n[redis]\nurll = 1\n") ==
        std::vector<std::string>{
            "m.toml:2:1: supervisor.servce: unknown key; did you mean service?",
            "m.toml:3:17: supervisor.log.level: 'verbose' is not one of debug, info, warn, error, "
            "critical",
            "m.toml:6:1: program.b.restrat: unknown key; did you mean restart?",
            "m.toml:7:11: program.b.restart: 'alway' is not one of always, on-failure, never; did "
            "you mean always?",
            "m.toml:9:11: program.a.command: is a number, but must be a string or an array of "
            "strings",
            "m.toml:11:1: redis.urll: unknown key; did you mean url?"});
}

TEST_CASE("http is an address and a port; beyond loopback it wants a secret") {
    const auto about = [](const std::string& line) { return complaint("[supervisor]\n" + line); };
    for (const char* address : {"127.0.0.1:9001", "localhost:1", "[::1]:65535", "127.3.2.1:80"})
        CHECK_MESSAGE(about(fmt::format("http = \"{}\"", address)).empty(), address);
    for (const char* address :
         {"", "9001", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "::1:9001", "127.0.0.1:65536",
          "example.org:80", "[127.0.0.1]:80", "[]:1", "127.0.0.1:80 ", "http://127.0.0.1:80"})
        CHECK_MESSAGE(has(about(fmt::format("http = \"{}\"", address)), "is no address and port"),
                      address);
    std::string folder = (std::filesystem::temp_directory_path() / "muster-secret-XXXXXX").string();
    REQUIRE(mkdtemp(folder.data()) != nullptr);
    const std::string secret = folder + "/secret";
    std::ofstream{secret} << "s3cret\n";
    for (const char* address : {"0.0.0.0:1", "*:1", ":1", "10.0.0.1:1", "[::]:1",
                                "[::ffff:127.0.0.1]:1", "128.0.0.1:1"}) {
        const std::string line = fmt::format("http = \"{}\"", address);
        CHECK_MESSAGE(has(about(line), "m.toml:2:8: supervisor.http: whoever reaches"), address);
        const std::string with = line + "\nhttp_token_file = \"" + secret + "\"";
        CHECK_MESSAGE(about(with).empty(), address);
    }
    CHECK(has(about("http_token_file = \"" + secret + "\""), "no http that it is for"));
    CHECK(has(about("http = \"*:1\"\nhttp_token_file = \"/none\""), "No such file"));
    std::ofstream{secret} << "two words";
    CHECK(has(about("http = \"*:1\"\nhttp_token_file = \"" + secret + "\""), "one secret"));
    CHECK_FALSE(has(about("http = \"*:1\"\nhttp_token_file = \"" + secret + "\""), "words"));
    std::filesystem::remove_all(folder);
}

TEST_CASE("a value that is none is refused in supervisor and redis") {
    for (const char* line :
         {"service = \"\"", "service = \"a b\"", "service = 5", "control = \"\"", "log = \"info\"",
          "log = { level = \"Info\" }", "log = { format = \"xml\" }", "log = { levl = \"info\" }",
          "shutdown_timeout = \"soon\"", "shutdown_timeout = {}"})
        CHECK_MESSAGE(complaint(std::string("[supervisor]\n") + line).starts_with("m.toml:2:"),
                      line);
    for (const char* line :
         {"tls = 5", "tls = { verify = \"maybe\" }", "tls = { ca_file = \"/none\" }",
          "tls = { key_file = \"/dev/null\" }", "tls = { ca = \"x\" }", "lease = 0",
          "sweep = \"10ms\"", "economy = 1", "prefix = \"\"", "prefix = \"a b\"",
          "connect_timeout = 0", "command_timeout = \"0s\"", "wait = -1", "release_wait = \"x\"",
          "url = 5", "url_file = 5", "port = 6379"})
        CHECK_MESSAGE(complaint(std::string("[redis]\n") + line).starts_with("m.toml:2:"), line);
    CHECK(has(complaint("[supervisor]\ncontrol = \"/" + std::string(120, 'x') + "\""), "(107)"));
    CHECK(complaint("supervisor = 5") ==
          "m.toml:1:14: supervisor: is a number, but must be a table");
    CHECK(has(complaint("program = []"), "must be a table"));
    CHECK(has(complaint("[[program.a]]\ncommand = \"x\""), "is an array, but must be a table"));
    CHECK(has(complaint("[programs.a]\ncommand = \"x\""), "did you mean program?"));
    CHECK(has(complaint("comand = \"x\""), "unknown key"));
}

TEST_CASE("what is no TOML is told with its place") {
    CHECK(complaint("[program.a\n").starts_with("m.toml:1:11: "));
    CHECK(complaint("a = 1\na = 2").starts_with("m.toml:2:"));
    CHECK(complaint("a = \"x").starts_with("m.toml:1:"));
    for (const char* text : {"[.a]", "[ = 1", "[[.a]]", "[{x}]", "[$x]", "x = {.a = 1}", "a.=1"})
        CHECK_MESSAGE(has(complaint(text), "saw '"), text);
    CHECK(has(complaint("[program:shap]\ncommand=x"), "write [program.NAME], with a dot"));
    CHECK(has(complaint("a = \"\xff\xfe\""), "utf-8"));
    CHECK(complaint(std::string("a = \0", 5)).starts_with("m.toml:1:"));
}

TEST_CASE("characters other than ASCII stand in quotes and comments alone") {
    for (const char* text :
         {"clé = 1", "[ü]", "a = ü", "a = 1 é", "_e\xef\xb9\xbf", "a = 'x' ü", "\xc2\xa0 a = 1",
          "a = \"x\\\" ü\"\nü = 1", "# ü\nü = 1", "a = '''\nx'''ü", "a = \"\"\"x\\\"\"\"\"ü",
          "a = 2\"ü\"", "a = [+'ü']", "a = 1.\"ü\"", "a = 1{'ü'"}) {
        CAPTURE(text);
        CHECK(has(complaint(text), "may stand only in quotes"));
    }
    CHECK(complaint("a = 1\n  ü = 1").starts_with("m.toml:2:3: "));
    // After the backslash of a line that goes on, toml++ looks at the next line in the same way.
    CHECK(
        has(complaint("a = \"\"\"x \\\n  ü\"\"\""), "right after a line that ends in a backslash"));
    for (const char* text :
         {"[program.a]\ncommand = \"x ü\" # ü", "[program.a]\ncommand = 'é\\x' # \"ü",
          "[program.a]\ncommand = \"\"\"x \"ü\" \"\" \\\n  a ü\"\"\"",
          "[program.a]\ncommand = '''x 'ü' \\\n  ü'''", "\xef\xbb\xbf[program.a]\ncommand = 'x'",
          "[program.a]\nenvironment = { \"ü\" = 'ü' }\ncommand = 'x'",
          "[program.\"1a\"]\nenvironment.\"ü\" = 'ü'\ncommand = [\"1\",'ü']"}) {
        CAPTURE(text);
        CHECK(complaint(text) == "");
    }
}

TEST_CASE("a file that would exhaust the stack is refused") {
    std::string dots;
    for (int i = 0; i < 100'000; ++i) dots += "a.";
    CHECK(has(complaint(dots + "a = 1"), "more than 1000 dots"));
    CHECK_FALSE(complaint("a = " + std::string(100'000, '[')).empty());
    std::string chain;
    for (int i = 0; i < 5000; ++i)
        chain += "[program.p" + std::to_string(i) + "]\ncommand=\"x\"\nafter=[\"p" +
                 std::to_string((i + 1) % 5000) + "\"]\n";
    CHECK(has(complaint(chain), "goes in a circle"));
}

TEST_CASE("a file that cannot be read is told by name") {
    const Folder folder;
    auto problems = problems_of_file(folder.path() + "/none.toml");
    REQUIRE(problems.size() == 1);
    CHECK(describe(problems[0]) ==
          folder.path() + "/none.toml: cannot be read: No such file or directory");
    problems = problems_of_file(folder.path());
    REQUIRE(problems.size() == 1);
    CHECK(has(problems[0].text, "Is a directory"));
    problems = problems_of_file(folder.write("large", std::string(1024 * 1024 + 1, '#')));
    REQUIRE(problems.size() == 1);
    CHECK(has(problems[0].text, "larger than 1 MiB"));
    CHECK(has(complaint(std::string(1024 * 1024 + 1, '#')), "larger than 1 MiB"));
    CHECK(problems_of_file(folder.write("good", with(""))).empty());
}

TEST_CASE("the effective configuration prints as a file that reads back the same") {
    const Variables variables{{"REDIS_URL", "redis://h:1/2"}, {"J", "{\"a\": \"${x}\"}"}};
    const auto config = loaded(R"(
[supervisor]
service = "s"
control = "/c"
log = { level = "warn" }
[program."dotted.name"]
command = ["sh", "-c", "echo $${HOME} {name} {{x} \"quoted\" \\ \t ü", "${J}"]
registry = "rq"
processes = 2
directory = "/d"
user = "u"
group = "g"
environment = { "A.B" = "x", C = "{process}" }
env_file = "e"
umask = "007"
limits = { nofile = [1, 2], core = "unlimited", nice = 5, oom_score_adj = -5 }
after = ["b:succeeded"]
exit_codes = []
start_timeout = "90s"
backoff = { factor = 1.25, jitter = 0.5 }
stop = ["INT 1500ms", "QUIT 1s"]
stdout = "/l/{process}"
stderr = "inherit"
[program.b]
command = "x"
restart = "never"
ready = { tcp = "h:1" }
autostart = false
on_fatal = "exit"
orphans = "leave"
)",
                               variables);
    const std::string text = printed(config);
    const auto again = loaded(text);
    CHECK(printed(again) == text);
    REQUIRE(again.programs.size() == 2);
    for (std::size_t i = 0; i < 2; ++i) {
        CHECK(again.programs[i].name == config.programs[i].name);
        CHECK(again.programs[i].command == config.programs[i].command);
        CHECK(again.programs[i].environment == config.programs[i].environment);
        CHECK(again.programs[i].after == config.programs[i].after);
        CHECK(again.programs[i].policy == config.programs[i].policy);
        CHECK(again.programs[i].stdout_to.path == config.programs[i].stdout_to.path);
        CHECK(again.programs[i].umask == config.programs[i].umask);
        CHECK(again.programs[i].ready.index() == config.programs[i].ready.index());
    }
    CHECK(again.redis->url == "redis://h:1/2");
}

TEST_CASE("I12: a printed configuration holds no secret") {
    for (const char* url : {"redis://u:hunter2@h", "redis://:hunter2@h", "redis://hunter2@h",
                            "unix:///s?db=1&password=hunter2"}) {
        const auto text = printed(loaded(
            with(R"(environment = { U = "${U}", API_KEY = "hunter2", My_Password = "hunter2" })") +
                "[redis]\nurl = \"${U}\"\n[program.b]\ncommand = \"x --url ${U}\"",
            {{"U", url}}));
        CHECK_MESSAGE(!has(text, "hunter2"), text);
        CHECK(has(text, "***"));
    }
}

CommandLine line(std::vector<std::string> command) {
    CommandLine line;
    line.command = std::move(command);
    return line;
}

Config made(const CommandLine& from, Variables variables = {}) {
    auto config = from_command(from, environment_of(std::move(variables)));
    if (!config) FAIL(config.error().message());
    return std::move(*config);
}

std::string refused(const CommandLine& from, Variables variables = {}) {
    const auto config = from_command(from, environment_of(std::move(variables)));
    return config ? "" : config.error().message();
}

TEST_CASE("a plain command runs once, with our streams, its words as they are") {
    const auto config = made(line({"/bin/my prog", "{name}", "{\"a\": 1}", "${HOME}"}),
                             {{"REDIS_URL", "redis://x"}});
    REQUIRE(config.programs.size() == 1);
    const Program& p = config.programs[0];
    CHECK(p.name == "my-prog");
    CHECK(p.command ==
          std::vector<std::string>{"/bin/my prog", "{{name}", "{{\"a\": 1}", "${{HOME}"});
    CHECK(p.policy.restart == core::Restart::never);
    CHECK(p.policy.ready_after == Duration{0s});
    CHECK_FALSE(p.processes);
    CHECK(p.stdout_to.kind == OutputKind::inherit);
    CHECK(p.stderr_to.kind == OutputKind::inherit);
    CHECK_FALSE(p.policy.stop.empty());
    CHECK_FALSE(config.redis);
    CHECK(made(line({"all"})).programs[0].name == "command");
    CHECK(made(line({"/"})).programs[0].name == "command");
}

TEST_CASE("with a registry or a number the command is workers, restarted always") {
    auto from = line({"rq", "worker", "--name", "{name}", "{\"a\"}", "{", "{{name}"});
    from.registry = "rq";
    from.processes = 3;
    from.redis = "redis://h";
    from.control = "/c";
    auto config = made(from, {{"REDIS_URL", "redis://x"}});
    const Program& p = config.programs[0];
    CHECK(p.command == std::vector<std::string>{"rq", "worker", "--name", "{name}", "{{\"a\"}",
                                                "{{", "{{{name}"});
    CHECK(p.policy.restart == core::Restart::always);
    CHECK(p.processes == 3);
    CHECK(std::holds_alternative<ReadyRegistered>(p.ready));
    CHECK(p.stdout_to.kind == OutputKind::forward);
    CHECK(config.redis->url == "redis://h");
    CHECK(config.supervisor.control == "/c");

    from = line({"x"});
    from.processes = 1;
    config = made(from);
    CHECK(config.programs[0].processes == 1);
    CHECK(config.programs[0].policy.restart == core::Restart::always);
    CHECK(config.programs[0].policy.ready_after == Duration{1s});
    CHECK_FALSE(config.redis);
}

TEST_CASE("a command line that makes no sense is refused by a sentence") {
    CHECK(refused(line({})) == "there is no command");
    CHECK(refused(line({""})) == "there is no command");
    auto from = line({"x"});
    from.restart = "allways";
    CHECK(
        has(refused(from),
            "--restart: 'allways' is not one of always, on-failure, never; did you mean always?"));
    from.restart = "on-failure";
    CHECK(made(from).programs[0].policy.restart == core::Restart::on_failure);
    from = line({"x"});
    from.registry = "arq";
    CHECK(has(refused(from), "not supported in this version"));
    from.registry = "custom";
    CHECK(refused(from) == "--registry: 'custom' needs patterns");
    from.registry = "sidekick";
    CHECK(has(refused(from), "did you mean sidekiq?"));
    from.registry = "sidekiq";
    CHECK(made(from, {{"REDIS_URL", "redis://x"}}).programs[0].registry == RegistryKind::sidekiq);
    from.registry = "rq";
    CHECK(refused(from) == "a registry needs a Redis");
    CHECK(made(from, {{"REDIS_URL", "redis://x"}}).redis->url == "redis://x");
    from.redis = "http://hunter2@x";
    CHECK(refused(from).starts_with("--redis: the Redis URL does not begin"));
    CHECK_FALSE(has(refused(from), "hunter2"));
    from = line({"x"});
    from.redis = "redis://x";
    CHECK(refused(from) == "--redis does nothing without a registry");
    from = line({"x"});
    from.processes = 0;
    CHECK(refused(from) == "-n: must be from 1 to 10000");
}

TEST_CASE("a thousand programs are read in the file's order") {
    std::string text;
    for (int i = 0; i < 1000; ++i)
        text += "[program.w" + std::to_string(i) + "]\ncommand = [\"sleep\", \"9\"]\n";
    const auto config = loaded(text);
    REQUIRE(config.programs.size() == 1000);
    for (std::size_t i = 0; i < 1000; ++i)
        CHECK(config.programs[i].name == "w" + std::to_string(i));
}

TEST_CASE("included files are programs and groups of the same configuration") {
    const Folder folder;
    std::filesystem::create_directory(folder.path() + "/conf.d");
    const auto b = folder.write("conf.d/b.toml", "[program.b]\ncommand = \"b\"\nafter = [\"a\"]\n");
    static_cast<void>(folder.write("conf.d/c.toml", "[group.g]\nprograms = [\"a\", \"b\"]\n"));
    const auto main = folder.write(
        "m.toml",
        "[supervisor]\ninclude = [\"conf.d/*.toml\", \"none/*.toml\", \"conf.d/b.toml\"]\n"
        "[program.a]\ncommand = \"a\"\n");
    const auto result = load_file(main, environment_of({}));
    REQUIRE(std::holds_alternative<Config>(result));
    const auto& config = std::get<Config>(result);
    REQUIRE(config.programs.size() == 2);
    CHECK(config.programs[1].name == "b");
    CHECK(config.groups.size() == 1);

    static_cast<void>(
        folder.write("conf.d/b.toml",
                     "[program.b]\ncommand = \"b\"\nzzzzzzzzz = 1\n[redis]\nurl = \"x\"\n"
                     "[program.a]\ncommand = \"a\"\n"));
    std::vector<std::string> lines;
    for (const Problem& problem : problems_of_file(main)) lines.push_back(describe(problem));
    CHECK(lines == std::vector<std::string>{
                       b + ":3:1: program.b.zzzzzzzzz: unknown key",
                       b + ":4:2: redis: belongs into the main file, not into an included one",
                       b + ":6:10: program.a: is in " + main + ":3, too"});
    const auto missing = folder.write(
        "n.toml", "[supervisor]\ninclude = [\"x.toml\"]\n[program.a]\ncommand = \"a\"\n");
    const auto problems = problems_of_file(missing);
    REQUIRE(problems.size() == 1);
    CHECK(problems[0].line == 2);
    CHECK(problems[0].text == "supervisor.include: x.toml: there is no such file");
}

}  // namespace
}  // namespace muster::config
