#include "control/listener.h"

#include <doctest/doctest.h>

#include "core/notices.h"

namespace muster::control {

namespace {

using State = ListenerTalk::State;
using News = ListenerTalk::News;
using core::Notice;

StateNews news(core::State from, core::State to, core::Cause cause = core::Cause::asked) {
    return {"web_00", "web", from, to, cause, false, 7, 2};
}

std::vector<std::string> lines(const StateNews& of) {
    std::vector<std::string> all;
    for (const Told& told : told_of(of))
        all.push_back(std::string(core::notice_name(told.what)) + " " + told.payload);
    return all;
}

ListenerPool pool_of(std::size_t buffer) {
    return {"mail", core::notices_called("EVENT"), buffer};
}

}  // namespace

TEST_CASE("a listener says READY, gets an event, and accepts it") {
    ListenerTalk talk;
    CHECK(talk.state() == State::acknowledged);
    CHECK(talk.read("READY\n") == std::vector{News::is_ready});
    CHECK(talk.state() == State::ready);
    talk.sent();
    CHECK(talk.state() == State::busy);
    CHECK(talk.read("RESULT 2\nOK") == std::vector{News::accepted});
    CHECK(talk.state() == State::acknowledged);
}

TEST_CASE("what a listener says may be cut anywhere, and come all at once") {
    ListenerTalk talk;
    for (const char c : std::string("READY")) CHECK(talk.read({&c, 1}).empty());
    CHECK(talk.read("\n") == std::vector{News::is_ready});
    talk.sent();
    for (const char c : std::string("RESULT 2\nO")) CHECK(talk.read({&c, 1}).empty());
    CHECK(talk.read("KREADY\n") == std::vector{News::accepted, News::is_ready});
}

TEST_CASE("any result but OK rejects, however long it is") {
    for (const std::string result : {"4\nFAIL", "0\n", "3\nOK!", "1\nO", "3\nKO\n"}) {
        ListenerTalk talk;
        talk.read("READY\n");
        talk.sent();
        CAPTURE(result);
        CHECK(talk.read("RESULT " + result) == std::vector{News::rejected});
        CHECK(talk.state() == State::acknowledged);
    }
    ListenerTalk talk;
    talk.read("READY\n");
    talk.sent();
    CHECK(talk.read("RESULT 10000000\n").empty());
    for (int i = 0; i < 99; ++i) CHECK(talk.read(std::string(100'000, 'x')).empty());
    CHECK(talk.read(std::string(100'000, 'x')) == std::vector{News::rejected});
}

TEST_CASE("whoever says something else is confused, and gets nothing until it is restarted") {
    for (const std::string said : {"hello\n", "READY\nREADY\n", "READY\nx", "READY \n", "\n",
                                   "RESULT 2\nOK", "a line that is longer than any of theirs is"}) {
        ListenerTalk talk;
        CAPTURE(said);
        CHECK(talk.read(said).back() == News::is_confused);
        CHECK(talk.state() == State::confused);
        CHECK(talk.read("READY\n").empty());
    }
    for (const std::string said : {"RESULT x\n", "RESULT -1\n", "RESULT 2 \n", "READY\n"}) {
        ListenerTalk talk;
        talk.read("READY\n");
        talk.sent();
        CAPTURE(said);
        CHECK(talk.read(said) == std::vector{News::is_confused});
    }
}

TEST_CASE("a header tells what is to be read, and both serials") {
    ListenerPool pool = pool_of(10);
    CHECK_FALSE(pool.add(Notice::tick_5, "when:5", 3));
    CHECK_FALSE(pool.add(Notice::remote_communication, "type:a\nü", 4));
    const auto first = pool.take();
    REQUIRE(first);
    CHECK(pool.text(*first, "here") ==
          "ver:3.0 server:here serial:3 pool:mail poolserial:0 eventname:TICK_5 len:6\nwhen:5");
    CHECK(pool.text(*pool.take(), "here") ==
          "ver:3.0 server:here serial:4 pool:mail poolserial:1 eventname:REMOTE_COMMUNICATION "
          "len:9\ntype:a\nü");
    CHECK_FALSE(pool.take());
}

TEST_CASE("a full buffer drops its oldest event, and says which") {
    ListenerPool pool = pool_of(2);
    CHECK_FALSE(pool.add(Notice::tick_5, "a", 0));
    CHECK_FALSE(pool.add(Notice::tick_5, "b", 1));
    CHECK(pool.add(Notice::tick_5, "c", 2)->serial == 0);
    CHECK(pool.take()->payload == "b");
    CHECK(pool.take()->payload == "c");
}

TEST_CASE("what was rejected comes again before all others, with its serials") {
    ListenerPool pool = pool_of(2);
    pool.add(Notice::tick_5, "a", 0);
    auto rejected = pool.take();
    pool.add(Notice::tick_5, "b", 1);
    CHECK_FALSE(pool.give_back(*rejected));
    rejected = pool.take();
    CHECK(rejected->payload == "a");
    CHECK(rejected->pool_serial == 0);
    pool.add(Notice::tick_5, "c", 2);
    CHECK(pool.give_back(*rejected)->payload == "b");  // as there: the oldest that waits goes
    CHECK(pool.take()->payload == "a");
    CHECK(pool.take()->payload == "c");
}

TEST_CASE("a name stands for an event or for a class of them") {
    CHECK(core::notices_called("TICK_60").all() == std::vector{Notice::tick_60});
    CHECK(core::notices_called("TICK").all() ==
          std::vector{Notice::tick_5, Notice::tick_60, Notice::tick_3600});
    CHECK(core::notices_called("PROCESS_STATE").all().size() == 7);
    CHECK(core::notices_called("EVENT").all().size() == 15);
    CHECK(core::notices_called("PROCESS").is_empty());
    CHECK(core::notices_called("PROCESS_STATE_").is_empty());
    CHECK(core::is_foreign_notice("PROCESS_LOG_STDOUT"));
}

TEST_CASE("transitions are told as supervisord tells them") {
    using core::Cause;
    const std::string who = " processname:web_00 groupname:web from_state:";
    auto crash = news(core::State::running, core::State::backoff, Cause::crashed);
    crash.has_exited = true;
    CHECK(lines(crash) ==
          std::vector<std::string>{"PROCESS_STATE_EXITED" + who + "RUNNING expected:0 pid:7",
                                   "PROCESS_STATE_BACKOFF" + who + "EXITED tries:2"});
    auto end = news(core::State::running, core::State::exited, Cause::exited_expected);
    end.has_exited = true;
    CHECK(lines(end) ==
          std::vector<std::string>{"PROCESS_STATE_EXITED" + who + "RUNNING expected:1 pid:7"});
    auto early = news(core::State::starting, core::State::backoff, Cause::exited_early);
    early.has_exited = true;
    CHECK(lines(early) ==
          std::vector<std::string>{"PROCESS_STATE_BACKOFF" + who + "STARTING tries:2"});
    CHECK(lines(news(core::State::starting, core::State::fatal, Cause::gave_up)) ==
          std::vector<std::string>{"PROCESS_STATE_BACKOFF" + who + "STARTING tries:2",
                                   "PROCESS_STATE_FATAL" + who + "BACKOFF"});
    CHECK(lines(news(core::State::stopped, core::State::starting)) ==
          std::vector<std::string>{"PROCESS_STATE_STARTING" + who + "STOPPED tries:2"});
    CHECK(lines(news(core::State::starting, core::State::running)) ==
          std::vector<std::string>{"PROCESS_STATE_RUNNING" + who + "STARTING pid:7"});
    CHECK(lines(news(core::State::running, core::State::stopping)) ==
          std::vector<std::string>{"PROCESS_STATE_STOPPING" + who + "RUNNING pid:7"});
    CHECK(lines(news(core::State::stopping, core::State::stopped)) ==
          std::vector<std::string>{"PROCESS_STATE_STOPPED" + who + "STOPPING pid:7"});
    CHECK(lines(news(core::State::stopping, core::State::starting)) ==
          std::vector<std::string>{"PROCESS_STATE_STOPPED" + who + "STOPPING pid:7",
                                   "PROCESS_STATE_STARTING" + who + "STOPPED tries:2"});
}

TEST_CASE("a tick tells when its period began") {
    CHECK(tick_payload(1000003, 5) == "when:1000000");
    CHECK(tick_payload(3601, 3600) == "when:3600");
}

}  // namespace muster::control
