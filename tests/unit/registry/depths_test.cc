#include "registry/depths.h"

#include <doctest/doctest.h>

#include "rig.h"

using namespace muster;
using core::RegistryKind;
using registry::Depths;
using registry::Queue;

namespace {

struct Rig {
    test::RedisServer server;
    loop::Loop loop;
    redis::Client client{loop, {.url = server.url()}, {}};

    Rig() {
        client.start();
        REQUIRE(test::run_until(loop, [this] { return client.is_connected(); }));
    }
    Result<Depths> read(const std::vector<Queue>& queues) {
        Result<Depths> answer = Error{"no answer"};
        bool has_answered = false;
        registry::read_depths(client, queues, [&](const Result<Depths>& depths) {
            answer = depths;
            has_answered = true;
        });
        CHECK_FALSE(has_answered);
        REQUIRE(test::run_until(loop, [&] { return has_answered; }));
        return answer;
    }
};

}  // namespace

TEST_CASE("a queue is where its job system keeps it, with all its priorities") {
    Rig rig;
    rig.server.ask({"RPUSH", "rq:queue:shap", "a", "b", "c"});
    rig.server.ask({"RPUSH", "queue:shap", "a"});
    rig.server.ask({"RPUSH", "resque:queue:shap", "a", "b"});
    rig.server.ask({"RPUSH", "dramatiq:shap", "a", "b", "c", "d"});
    rig.server.ask({"RPUSH", "shap", "a"});
    rig.server.ask({"RPUSH",
                    "shap\x06\x16"
                    "9",
                    "a", "b", "c", "d"});
    rig.server.ask({"RPUSH", "bull:shap:wait", "a"});
    rig.server.ask({"ZADD", "bull:shap:prioritized", "1", "b", "2", "c"});
    const auto depths = rig.read({{RegistryKind::rq, "shap"},
                                  {RegistryKind::sidekiq, "shap"},
                                  {RegistryKind::resque, "shap"},
                                  {RegistryKind::dramatiq, "shap"},
                                  {RegistryKind::celery, "shap"},
                                  {RegistryKind::bullmq, "shap"},
                                  {RegistryKind::rq, "not there"}});
    REQUIRE(depths);
    CHECK(*depths == Depths{{{RegistryKind::rq, "shap"}, 3},
                            {{RegistryKind::sidekiq, "shap"}, 1},
                            {{RegistryKind::resque, "shap"}, 2},
                            {{RegistryKind::dramatiq, "shap"}, 4},
                            {{RegistryKind::celery, "shap"}, 5},
                            {{RegistryKind::bullmq, "shap"}, 3},
                            {{RegistryKind::rq, "not there"}, 0}});
}

TEST_CASE("a key that is no queue is left out, and what Redis refuses is an error") {
    Rig rig;
    rig.server.ask({"SET", "rq:queue:text", "a"});
    rig.server.ask({"RPUSH", "rq:queue:shap", "a"});
    const std::vector<Queue> both{{RegistryKind::rq, "text"}, {RegistryKind::rq, "shap"}};
    const auto depths = rig.read(both);
    REQUIRE(depths);
    CHECK(*depths == Depths{{{RegistryKind::rq, "shap"}, 1}});
    rig.server.ask({"ACL", "SETUSER", "default", "-llen"});
    CHECK_FALSE(rig.read(both));
}

TEST_CASE("a system whose queues nobody knows has no keys") {
    CHECK(registry::queue_keys({RegistryKind::custom, "q"}).empty());
    CHECK(registry::queue_keys({RegistryKind::none, "q"}).empty());
    CHECK(registry::queue_keys({RegistryKind::rq, "q*"}) == test::Strings{"rq:queue:q*"});
}
