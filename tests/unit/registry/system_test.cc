#include "registry/system.h"

#include <doctest/doctest.h>

#include "registry/claims.h"
#include "registry/scripts.h"
#include "rig.h"

using namespace muster;
using registry::RegistryKind;
using test::SystemRig;
using Verdict = registry::Released::Verdict;

TEST_CASE("a system without a registry finds nobody, touches nothing, and says why") {
    for (const auto kind : {RegistryKind::dramatiq, RegistryKind::celery, RegistryKind::bullmq}) {
        CAPTURE(core::traits(kind).word);
        SystemRig rig(kind);
        rig.server.ask({"ZADD", "unacked_index", "1", "tag"});
        rig.server.ask({"SET", "bull:jobs:1:lock", "token"});
        rig.server.ask({"SADD", "dramatiq:__acks__.id.jobs", "message"});
        const auto before = rig.everything();
        CHECK_FALSE(rig.look({rig.sought()})[0]);
        const auto done = rig.release(rig.death());
        CHECK(done.verdict == Verdict::left);
        CHECK(done.detail == core::traits(kind).left_alone);
        CHECK_FALSE(done.detail.empty());
        CHECK(rig.everything() == before);
    }
}

TEST_CASE("every system drops our claim of the name with the release, and nobody else's") {
    for (const auto kind : {RegistryKind::rq, RegistryKind::sidekiq, RegistryKind::resque,
                            RegistryKind::custom, RegistryKind::celery}) {
        CAPTURE(core::traits(kind).word);
        SystemRig rig(kind);
        rig.server.ask({"SET", "muster:claim:w", "them/1"});
        rig.release(rig.death());
        CHECK(rig.server.text({"GET", "muster:claim:w"}) == "them/1");
        rig.server.ask({"SET", "muster:claim:w", "us/1"});
        rig.release(rig.death());
        CHECK(rig.server.number({"EXISTS", "muster:claim:w"}) == 0);
    }
}

TEST_CASE("a refused command is an error to the caller, for every system") {
    for (const auto kind : {RegistryKind::sidekiq, RegistryKind::resque, RegistryKind::custom,
                            RegistryKind::bullmq}) {
        CAPTURE(core::traits(kind).word);
        SystemRig rig(kind);
        rig.server.ask({"ACL", "SETUSER", "default", "-eval", "-evalsha"});
        const auto result = rig.try_release(rig.death());
        REQUIRE_FALSE(result);
        CHECK(result.error().message().find("Redis refuses: NOPERM") != std::string::npos);
    }
}

TEST_CASE("kinds that this version does not support have no adapter") {
    loop::Loop loop;
    redis::Client client(loop, {.url = {}}, {});
    for (const auto kind : {RegistryKind::none, RegistryKind::arq, RegistryKind::huey,
                            RegistryKind::bee_queue, RegistryKind::node_resque})
        CHECK_FALSE(registry::make_system(kind, client, SystemRig::our_options()));
}

TEST_CASE("a check tells nothing of the workers of a system that does not know how") {
    SystemRig rig(RegistryKind::celery);
    bool is_answered = false;
    rig.system->check({}, [&](const Result<std::vector<registry::Presence>>& seen) {
        REQUIRE(seen);
        CHECK(seen->empty());
        is_answered = true;
    });
    CHECK(is_answered);
}

TEST_CASE("the other systems' scripts have the hashes that Redis computes") {
    test::RedisServer server;
    for (const auto& script :
         {registry::sidekiq_find, registry::sidekiq_release, registry::resque_check,
          registry::resque_find, registry::resque_release, registry::custom_look,
          registry::custom_release})
        CHECK(server.text({"SCRIPT", "LOAD", std::string(script.body)}) == script.sha1);
}
