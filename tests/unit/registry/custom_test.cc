#include "registry/custom.h"

#include <doctest/doctest.h>

#include "rig.h"

using namespace muster;
using registry::CustomEntry;
using registry::Registration;
using registry::RegistryKind;
using Verdict = registry::Released::Verdict;

namespace {

const CustomEntry entry{
    .set = "workers", .member = "w", .key = "worker:w", .fields = {{"host", "box"}, {"pid", "42"}}};

struct Rig : test::SystemRig {
    Rig() : SystemRig(RegistryKind::custom) {
        server.ask({"SADD", "workers", "w", "other"});
        server.ask({"HSET", "worker:w", "pid", "42", "host", "box", "since", "noon"});
        server.ask({"HSET", "worker:other", "pid", "42", "host", "box"});
    }
    bool is_seen(const CustomEntry& how) {
        auto who = sought();
        who.custom = how;
        return look({who})[0].has_value();
    }
    registry::Released ends(const CustomEntry& how) {
        auto who = death();
        who.custom = how;
        return release(who);
    }
};

CustomEntry with(CustomEntry changed, const std::string& field, const std::string& value) {
    changed.fields.emplace_back(field, value);
    return changed;
}

}  // namespace

TEST_CASE("custom: a worker is seen when all that the file names is there") {
    Rig rig;
    auto who = rig.sought();
    who.custom = entry;
    const auto found = rig.look({who, rig.sought(43)});
    REQUIRE(found[0]);
    CHECK(
        *found[0] ==
        Registration{
            .name = "w", .pid = "42", .hostname = "box", .birth = "", .queues = {}, .version = ""});
    CHECK_FALSE(found[1]);
    CHECK(rig.look({}).empty());

    CHECK(rig.is_seen({.set = "workers", .member = "w", .key = "", .fields = {}}));
    CHECK(rig.is_seen({.set = "", .member = "", .key = "worker:w", .fields = {}}));
    CHECK_FALSE(rig.is_seen({.set = "workers", .member = "x", .key = "", .fields = {}}));
    CHECK_FALSE(rig.is_seen({.set = "nowhere", .member = "w", .key = "", .fields = {}}));
    CHECK_FALSE(rig.is_seen({.set = "worker:w", .member = "w", .key = "", .fields = {}}));
    CHECK_FALSE(rig.is_seen({.set = "", .member = "", .key = "worker:x", .fields = {}}));
    CHECK_FALSE(rig.is_seen(with(entry, "since", "midnight")));
    CHECK_FALSE(rig.is_seen(with(entry, "no such field", "x")));
}

TEST_CASE("custom: just its member and its key go (I4, I5)") {
    Rig rig;
    CHECK(rig.ends(entry).verdict == Verdict::removed);
    CHECK(rig.server.number({"EXISTS", "worker:w"}) == 0);
    CHECK(rig.server.number({"SISMEMBER", "workers", "w"}) == 0);
    CHECK(rig.server.number({"SISMEMBER", "workers", "other"}) == 1);
    CHECK(rig.server.number({"EXISTS", "worker:other"}) == 1);
    CHECK(rig.ends(entry).verdict == Verdict::nothing_there);  // safe to repeat
}

TEST_CASE("custom: a sorted set, a plain key, a set entry without its key go too") {
    Rig rig;
    rig.server.ask({"DEL", "worker:w"});
    CHECK(rig.ends(entry).verdict == Verdict::removed);
    rig.server.ask({"ZADD", "beats", "1", "w", "2", "other"});
    rig.server.ask({"SET", "alive:w", "1"});
    const CustomEntry other{.set = "beats", .member = "w", .key = "alive:w", .fields = {}};
    CHECK(rig.is_seen(other));
    CHECK(rig.ends(other).verdict == Verdict::removed);
    CHECK(rig.server.number({"ZCARD", "beats"}) == 1);
    CHECK(rig.server.number({"EXISTS", "alive:w"}) == 0);
}

TEST_CASE("custom: where a field differs nothing is touched (I4)") {
    Rig rig;
    const auto before = rig.everything();
    auto done = rig.ends(with(entry, "since", "midnight"));
    CHECK(done.verdict == Verdict::mismatch);
    CHECK(done.detail == "worker:w has since noon");
    done = rig.ends(with(entry, "missing", "x"));
    CHECK(done.detail == "worker:w has missing (none)");
    CHECK(rig.ends({.set = "workers", .member = "w", .key = "workers", .fields = {{"pid", "42"}}})
              .verdict == Verdict::mismatch);
    CHECK(rig.ends({.set = "worker:w", .member = "w", .key = "", .fields = {}}).verdict ==
          Verdict::mismatch);
    CHECK(rig.everything() == before);
}

TEST_CASE(
    "custom: what the roll knows of an earlier life goes once, while its name is nobody's (I4)") {
    Rig rig;
    auto dead = rig.death();
    dead.custom = entry;
    dead.proof = registry::Proof::same_place;
    dead.estate = registry::Estate{"them", "w", "facts"};
    rig.server.ask({"HSET", "muster:roll:them", "w", "other facts"});
    auto before = rig.everything();
    CHECK(rig.release(dead).verdict == Verdict::taken);
    CHECK(rig.everything() == before);
    rig.server.ask({"HSET", "muster:roll:them", "w", "facts"});
    rig.server.ask({"SET", "muster:claim:w", "theme/1"});  // begins alike, and is another
    before = rig.everything();
    const auto done = rig.release(dead);
    CHECK(done.verdict == Verdict::mismatch);
    CHECK(done.detail == "its name is claimed by theme/1");
    CHECK(rig.everything() == before);
    rig.server.ask({"SET", "muster:claim:w", "them/7"});
    CHECK(rig.release(dead).verdict == Verdict::removed);
    CHECK(rig.server.number({"EXISTS", "muster:claim:w", "worker:w"}) == 0);
    CHECK(rig.server.number({"SISMEMBER", "workers", "w"}) == 0);
    CHECK(rig.server.number({"SISMEMBER", "workers", "other"}) == 1);
}

TEST_CASE("custom: what another life left whose patterns are unknown is left") {
    Rig rig;
    const auto before = rig.everything();
    const auto done = rig.release(rig.death());
    CHECK(done.verdict == Verdict::left);
    CHECK_FALSE(done.detail.empty());
    CHECK(rig.everything() == before);
}
