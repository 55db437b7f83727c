#include "config/diff.h"

#include "fixture.h"

namespace muster::config {
namespace {

using Words = std::vector<std::string>;

const std::string base =
    "[program.a]\ncommand = \"run --url redis://:secret@h/0\"\nenvironment = { A = \"1\", "
    "API_KEY = \"x\" }\n";

ProgramChange change(const std::string& before, const std::string& after) {
    auto difference = compare(loaded(before), loaded(after));
    REQUIRE(difference.changed.size() == 1);
    CHECK(difference.added.empty());
    CHECK(difference.removed.empty());
    return std::move(difference.changed.front());
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
    const auto at = text.find(what);
    REQUIRE(at != std::string::npos);
    return text.replace(at, what.size(), by);
}

TEST_CASE("the same file is no change, however it is written") {
    const Config config = loaded(base);
    CHECK(compare(config, config).is_empty());
    CHECK(compare(config, loaded("# a comment\n" + base + "stop = [\"TERM 25s\", \"KILL\"]\n"))
              .is_empty());
}

TEST_CASE("programs come and go by name") {
    const auto difference = compare(loaded(base + "[program.b]\ncommand = \"x\"\n"),
                                    loaded("[program.c]\ncommand = \"x\"\n" + base));
    CHECK(difference.added == Words{"c"});
    CHECK(difference.removed == Words{"b"});
    CHECK(difference.changed.empty());
}

TEST_CASE("what acts on running processes restarts nobody") {
    for (const char* line :
         {"stop = [\"INT 3s\", \"KILL\"]", "backoff = { initial = \"2s\" }", "start_limit = 3",
          "on_fatal = \"stay\"", "essential = false", "restart = \"never\"", "exit_codes = [0, 3]",
          "orphans = \"wait\"", "start_timeout = \"5s\"", "autostart = false", "priority = 3",
          "max_age = \"1h\"", "memory = { soft = \"10MB\" }"}) {
        CAPTURE(line);
        const auto changed = change(base, base + line + "\n");
        CHECK(changed.live == Words{std::string(line).substr(0, std::string(line).find(' '))});
        CHECK(changed.next_start.empty());
        CHECK(changed.restart.empty());
        CHECK_FALSE(changed.processes);
    }
}

TEST_CASE("where output goes and what ready means is for the next start") {
    CHECK(change(base, base + "stdout = \"./a.log\"\n").next_start == Words{"stdout"});
    CHECK(change(base, base + "stderr = \"null\"\n").next_start == Words{"stderr"});
    CHECK(change(base, base + "ready = { after = \"9s\" }\n").next_start == Words{"ready"});
}

TEST_CASE("what a process is made of takes a new one") {
    for (const char* line :
         {"directory = \"/tmp\"", "user = \"nobody\"", "group = \"nogroup\"", "env_file = \"e\"",
          "umask = \"077\"", "limits = { nofile = 9 }", "name = \"{program}-{rand}\""}) {
        CAPTURE(line);
        const auto changed = change(base, base + line + "\n");
        CHECK(changed.restart == Words{std::string(line).substr(0, std::string(line).find(' '))});
        CHECK(changed.live.empty());
    }
    CHECK(change(base, replaced(base, "run", "walk")).restart == Words{"command"});
    CHECK(change(base, replaced(base, "\"1\"", "\"2\"")).restart == Words{"environment"});
}

TEST_CASE("I12: a secret that changed is seen, though it is never printed") {
    CHECK(change(base, replaced(base, "\"x\"", "\"y\"")).restart == Words{"environment"});
    CHECK(change(base, replaced(base, "secret", "other")).restart == Words{"command"});
    const std::string redis = "[redis]\nurl = \"redis://:secret@h/0\"\n";
    CHECK(compare(loaded(redis + base), loaded(replaced(redis, "secret", "other") + base))
              .needs_restart == Words{"redis.url"});
}

TEST_CASE("another number of processes is a change of its own") {
    const auto more = change(base + "processes = 2\n", base + "processes = 4\n");
    CHECK(more.processes == std::pair{2U, 4U});
    CHECK_FALSE(more.is_renamed);
    CHECK(more.restart.empty());
    const auto numbered = change(base, base + "processes = 1\n");
    CHECK(numbered.processes == std::pair{1U, 1U});
    CHECK(numbered.is_renamed);
}

TEST_CASE("of the general tables, few keys act at once; the others name what they need") {
    const auto difference = compare(
        loaded(base), loaded("[supervisor]\nshutdown_timeout = \"9s\"\nlog = { level = \"debug\" "
                             "}\ncontrol = \"/x/y\"\n[redis]\nurl = \"redis://h\"\n" +
                             base + "[group.g]\nprograms = [\"a\"]\n"));
    CHECK(difference.live ==
          Words{"supervisor.log.level", "supervisor.shutdown_timeout", "group.g"});
    CHECK(difference.needs_restart == Words{"supervisor.control", "redis"});
    CHECK(difference.changed.empty());
}

TEST_CASE("with autoscale the size at present stays; without it the file says it again") {
    const std::string worker =
        "redis.url = 'redis://h'\n[program.a]\ncommand = 'run'\nregistry = 'rq'\n";
    const std::string scaled = worker + "autoscale = { max = 8, queues = ['q'] }\n";
    auto changed = change(scaled, replaced(scaled, "max = 8", "min = 2, max = 4"));
    CHECK(changed.live == Words{"autoscale"});
    CHECK(changed.restart.empty());
    CHECK_FALSE(changed.processes);
    changed = change(worker + "processes = 6\n", scaled);
    CHECK(changed.live == Words{"autoscale"});
    CHECK_FALSE(changed.processes);
    changed = change(scaled, worker + "processes = 1\n");
    CHECK(changed.live == Words{"autoscale"});
    CHECK(changed.processes == std::pair{1U, 1U});
    changed = change(worker, scaled);
    CHECK(changed.is_renamed);
    CHECK(changed.processes == std::pair{1U, 1U});
}

}  // namespace
}  // namespace muster::config
