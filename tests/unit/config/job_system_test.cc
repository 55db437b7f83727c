#include "core/job_system.h"

#include <csignal>

#include "config/print.h"
#include "fixture.h"

namespace muster::config {
namespace {

using namespace std::chrono_literals;
using Steps = std::vector<core::StopStep>;
const Variables with_redis{{"REDIS_URL", "redis://h"}};
const core::StopStep kill{SignalNumber{SIGKILL}, 0s};
constexpr const char* all_systems[] = {"rq",     "sidekiq", "resque", "dramatiq",
                                       "celery", "bullmq",  "custom"};

std::string registry(const std::string& word) {
    std::string lines = "registry = \"" + word + "\"\n";
    return word == "custom" ? lines + "custom = { key = \"w:{name}\" }\n" : lines;
}

Steps sidekiq_stop(const std::string& command) {
    const auto config =
        loaded("[program.a]\nregistry = \"sidekiq\"\ncommand = \"" + command + "\"\n", with_redis);
    REQUIRE(config.programs.size() == 1);
    return config.programs[0].policy.stop;
}

TEST_CASE("each job system brings its defaults along") {
    struct Case {
        const char* word;
        Steps stop;
        bool is_seen;
        Jobs jobs;
    };
    const core::StopStep term{SignalNumber{SIGTERM}, 25s};
    for (const auto& one : {
             Case{"rq", {term, kill}, true, Jobs::hand_back},
             Case{"sidekiq", {{SignalNumber{SIGTERM}, 30s}, kill}, true, Jobs::leave},
             Case{"resque",
                  {{SignalNumber{SIGQUIT}, 25s}, {SignalNumber{SIGTERM}, 5s}, kill},
                  true,
                  Jobs::hand_back},
             Case{"dramatiq", {term, kill}, false, Jobs::leave},
             Case{"celery", {term, kill}, false, Jobs::leave},
             Case{"bullmq", {term, kill}, false, Jobs::leave},
             Case{"custom", {term, kill}, true, Jobs::leave},
         }) {
        CAPTURE(one.word);
        const Program p = program(registry(one.word), with_redis);
        CHECK(core::traits(p.registry).word == one.word);
        CHECK(p.policy.stop == one.stop);
        CHECK(std::holds_alternative<ReadyRegistered>(p.ready) == one.is_seen);
        CHECK(p.policy.ready_after.has_value() == !one.is_seen);
        CHECK(p.jobs == one.jobs);
        CHECK(p.policy.has_registry);
    }
    CHECK(program(registry("celery") + "stop = \"INT 3s\"", with_redis).policy.stop ==
          Steps{{SignalNumber{SIGINT}, 3s}, kill});
}

TEST_CASE("who can be made quiet, who takes jobs again, and what is left of whom") {
    using core::RegistryKind;
    CHECK(core::traits(RegistryKind::sidekiq).quiet == SignalNumber{SIGTSTP});
    CHECK_FALSE(core::traits(RegistryKind::sidekiq).resume);
    CHECK(core::traits(RegistryKind::resque).quiet == SignalNumber{SIGUSR2});
    CHECK(core::traits(RegistryKind::resque).resume == SignalNumber{SIGCONT});
    for (const auto kind : {RegistryKind::none, RegistryKind::rq, RegistryKind::celery,
                            RegistryKind::dramatiq, RegistryKind::bullmq, RegistryKind::custom}) {
        CHECK_FALSE(core::traits(kind).quiet);
        CHECK_FALSE(core::traits(kind).resume);
    }
    for (const char* word : all_systems) {
        const core::Traits& traits = core::traits(program(registry(word), with_redis).registry);
        CHECK(traits.stop.back() == kill);
        CHECK((traits.can_hand_back || !traits.left_alone.empty()));
    }
}

TEST_CASE("Sidekiq is given longer than its own -t, so that it can push its jobs back") {
    for (const char* command : {"sidekiq -t 8", "sidekiq -t8 -c 2", "sidekiq --timeout 8",
                                "bundle exec sidekiq --timeout=8"}) {
        CAPTURE(command);
        CHECK(sidekiq_stop(command).front().wait == 13s);
    }
    for (const char* command :
         {"sidekiq", "sidekiq -t", "sidekiq -t x", "sidekiq --tag 8", "sidekiq -t 1000000000"}) {
        CAPTURE(command);
        CHECK(sidekiq_stop(command).front().wait == 30s);
    }
}

TEST_CASE("who is in no registry cannot be ready by it, and the complaint says so") {
    for (const char* word : {"dramatiq", "celery", "bullmq"}) {
        const auto told = complaint_of(registry(word) + "ready = \"registered\"", with_redis);
        CHECK(
            has(told, std::string("m.toml:4:9: program.a.ready: 'registered' cannot be: ") + word));
        CHECK(has(told, "write ready = { after ="));
    }
    CHECK(complaint_of(registry("sidekiq") + "ready = \"registered\"", with_redis).empty());
}

TEST_CASE("jobs that nobody can hand back from outside are refused, not ignored") {
    for (const char* word : {"sidekiq", "dramatiq", "celery", "bullmq", "custom"}) {
        const auto told = complaint_of(registry(word) + "jobs = \"hand-back\"", with_redis);
        CAPTURE(told);
        CHECK(has(told, "program.a.jobs: nothing can be done from outside"));
        CHECK(has(told, word));
        CHECK(has(told, "write jobs = \"leave\""));
        CHECK(complaint_of(registry(word) + "jobs = \"leave\"", with_redis).empty());
    }
    for (const char* word : {"rq", "resque"})
        CHECK(complaint_of(registry(word) + "jobs = \"hand-back\"", with_redis).empty());
}

TEST_CASE("what a home-made worker keeps has its unique name in it") {
    const Program p = program(
        "registry = \"custom\"\n[program.a.custom]\nset = \"workers\"\nkey = \"worker:{name}\"\n"
        "fields = { pid = \"{pid}\", host = \"{host}\" }",
        with_redis);
    REQUIRE(p.custom);
    CHECK(p.custom->set == "workers");
    CHECK(p.custom->member == "{name}");
    CHECK(p.custom->key == "worker:{name}");
    CHECK(p.custom->fields ==
          std::map<std::string, std::string>{{"host", "{host}"}, {"pid", "{pid}"}});

    const std::pair<const char*, const char*> wrong[] = {
        {"", "program.a.custom: is missing"},
        {"custom = {}", "has neither set nor key"},
        {"custom = { member = \"{name}\", key = \"{name}\" }", ".member: stands in a set"},
        {"custom = { set = \"w\", fields = { pid = \"{pid}\" } }", ".fields: are those of a hash"},
        {"custom = { set = \"w\", member = \"{host}:{pid}\" }", ".member: has no {name}"},
        {"custom = { key = \"worker:{pid}\" }", ".key: has no {name}"},
        {"custom = { set = \"w:{name}\" }", ".set: holds all workers"},
        {"custom = { key = \"w:{nam}\" }", "unknown placeholder {nam}; did you mean {name}?"},
        {"custom = { key = \"\" }", "is made of 1 to 512 characters"},
        {"custom = { hash = \"w:{name}\" }", "program.a.custom.hash: unknown key"},
    };
    for (const auto& [line, part] : wrong) {
        const std::string text = std::string("registry = \"custom\"\n") + line;
        const auto told = complaint_of(text, with_redis);
        const bool is_told = has(told, part);
        CHECK_MESSAGE(is_told, text << " gave " << told);
    }
    CHECK(has(complaint_of("registry = \"rq\"\ncustom = { key = \"{name}\" }", with_redis),
              "acts only with registry = \"custom\""));
}

TEST_CASE("the printed configuration has the job system's defaults, and reads back the same") {
    for (const char* word : all_systems) {
        CAPTURE(word);
        const std::string text =
            printed(loaded(with(registry(word)) + "[redis]\nurl = \"redis://h\"\n"));
        CHECK(has(text, std::string("registry = \"") + word + "\""));
        CHECK(printed(loaded(text)) == text);
    }
    const std::string text = printed(loaded(
        with("registry = \"custom\"\ncustom = { set = \"w\", key = \"k:{name}\", fields = { p = "
             "\"{pid}\" } }") +
        "[redis]\nurl = \"redis://h\"\n"));
    CHECK(has(text,
              "[program.a.custom]\nset = \"w\"\nmember = \"{name}\"\nkey = \"k:{name}\"\n"
              "fields = { p = \"{pid}\" }\n"));
}

}  // namespace
}  // namespace muster::config
