#include "daemon/listeners.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <utility>

#include "base/text.h"

namespace muster::daemon {

namespace {

using namespace std::chrono_literals;
using News = control::ListenerTalk::News;

constexpr Duration rejection_pause = 1s;                   // supervisord looks about once a second
constexpr std::size_t most_read = std::size_t{64} * 1024;  // in one turn

struct Tick {
    core::Notice what;
    std::int64_t period;  // seconds
};
constexpr Tick ticks[] = {
    {core::Notice::tick_5, 5}, {core::Notice::tick_60, 60}, {core::Notice::tick_3600, 3600}};

std::int64_t wall_seconds() {
    return std::chrono::duration_cast<std::chrono::seconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

}  // namespace

void Listeners::call_server(std::string_view name) {
    server_ = name;
    std::replace(server_.begin(), server_.end(), ' ', '-');  // a header's values hold no blanks
}

void Listeners::want(ProgramId program, const std::string& name, const config::Listener* listener) {
    if (listener == nullptr) {
        pools_.erase(program);
    } else if (const auto known = pools_.find(program); known != pools_.end()) {
        known->second.events.change(listener->events, listener->buffer);
    } else {
        pools_.emplace(program, Pool{{name, listener->events, listener->buffer}});
    }
    count_wanted();
}

void Listeners::count_wanted() {
    wanted_ = {};
    for (const auto& [program, pool] : pools_) wanted_.add(pool.events.events());
    arm_tick();
}

void Listeners::tell(core::Notice what, const std::string& payload) {
    if (!wants(what)) return;
    const std::uint64_t serial = next_serial_++;
    for (auto& [program, pool] : pools_) {
        if (!pool.events.wants(what)) continue;
        dropped(pool, pool.events.add(what, payload, serial));
        dispatch(program);
    }
}

// Ticks come when a period of the wall clock begins, however the clock may jump.
void Listeners::arm_tick() {
    std::int64_t shortest = 0;
    for (const Tick& each : ticks) {
        if (shortest == 0 && wants(each.what)) shortest = each.period;
    }
    if (shortest == 0) return tick_timer_.disarm();
    if (tick_timer_.is_armed() && last_tick_ != 0) return;
    last_tick_ = wall_seconds();
    tick_timer_.arm(loop_.now() + std::chrono::seconds{shortest - last_tick_ % shortest});
}

void Listeners::tick() {
    const std::int64_t now = wall_seconds();
    const std::int64_t before = std::exchange(last_tick_, now);
    for (const Tick& each : ticks) {
        if (wants(each.what) && now / each.period != before / each.period)
            tell(each.what, control::tick_payload(now, each.period));
    }
    arm_tick();
}

// NOLINTNEXTLINE(performance-unnecessary-value-param): it is moved into the map
void Listeners::spawned(ProgramId program, ProcessId process, std::string id, ListenerPipes pipes) {
    ended(process);
    Life& life =
        lives_.try_emplace(process, program, std::move(id), std::move(pipes)).first->second;
    life.out_watch.emplace(loop_, life.pipes.from_stdout.get(),
                           [this, process](bool, bool) { read(process); });
    life.in_watch.emplace(loop_, life.pipes.to_stdin.get(),
                          [this, &life](bool, bool) { write(life); });
    life.out_watch->watch(true, false);
}

void Listeners::running(ProcessId process, bool is_running) {
    const auto found = lives_.find(process);
    if (found == lives_.end() || found->second.is_running == is_running) return;
    found->second.is_running = is_running;
    if (is_running) dispatch(found->second.program);
}

void Listeners::ended(ProcessId process) {
    const auto found = lives_.find(process);
    if (found == lives_.end()) return;
    read(process);  // its last answer may still be there
    return_event(found->second);
    const ProgramId program = found->second.program;
    lives_.erase(found);
    dispatch(program);
}

void Listeners::dispatch(ProgramId program) {
    const auto found = pools_.find(program);
    if (found == pools_.end() || loop_.now() < found->second.rests_until) return;
    Pool& pool = found->second;
    for (auto& [process, life] : lives_) {
        if (pool.events.is_empty()) break;
        if (life.program == program && life.is_running &&
            life.talk.state() == control::ListenerTalk::State::ready)
            send(life, pool);
    }
    if (pool.events.is_empty()) tell_dropped(pool);
}

void Listeners::send(Life& life, Pool& pool) {
    life.in_hand = pool.events.take();
    life.outgoing = pool.events.text(*life.in_hand, server_);
    life.written = 0;
    life.talk.sent();
    write(life);
}

// As much as its pipe takes; the rest when it has been read.
void Listeners::write(Life& life) {
    while (life.written < life.outgoing.size()) {
        const std::string_view rest = std::string_view(life.outgoing).substr(life.written);
        const auto size = ::write(life.pipes.to_stdin.get(), rest.data(), rest.size());
        if (size < 0 && errno == EINTR) continue;
        if (size < 0 && errno == EAGAIN) return life.in_watch->watch(false, true);
        if (size < 0) break;  // it has closed its stdin: its end, or never an answer
        life.written += static_cast<std::size_t>(size);
    }
    life.outgoing = {};
    life.written = 0;
    life.in_watch->watch(false, false);
}

void Listeners::read(ProcessId process) {
    const auto found = lives_.find(process);
    if (found == lives_.end() || !found->second.pipes.from_stdout.is_open()) return;
    Life& life = found->second;
    std::array<char, 4096> buffer{};
    for (std::size_t all = 0; all < most_read;) {
        const auto size = ::read(life.pipes.from_stdout.get(), buffer.data(), buffer.size());
        if (size < 0 && errno == EINTR) continue;
        if (size < 0 && errno == EAGAIN) break;
        if (size <= 0) {
            life.out_watch.reset();
            life.pipes.from_stdout = {};
            break;
        }
        all += static_cast<std::size_t>(size);
        for (const News news : life.talk.read({buffer.data(), static_cast<std::size_t>(size)}))
            heard(life, news);
    }
    dispatch(life.program);
}

void Listeners::heard(Life& life, News news) {
    switch (news) {
        case News::is_ready:
            return;
        case News::accepted:
            life.in_hand.reset();
            return;
        case News::rejected: {
            const auto pool = pools_.find(life.program);
            if (pool != pools_.end()) {
                pool->second.rests_until = loop_.now() + rejection_pause;
                rest_timer_.arm(pool->second.rests_until);
            }
            if (life.in_hand)
                log_.debug("event-rejected",
                           {{"process", life.id},
                            {"event", std::string(core::notice_name(life.in_hand->what))},
                            {"serial", std::to_string(life.in_hand->serial)}});
            return return_event(life);
        }
        case News::is_confused:
            log_.warn("listener-confused",
                      {{"process", life.id},
                       {"reason", "its stdout said something that is not of the protocol"},
                       {"hint", "it is told nothing more until it is restarted"}});
            return return_event(life);
    }
}

void Listeners::rested() {
    std::optional<TimePoint> next;
    for (auto& [program, pool] : pools_) {
        if (pool.rests_until > loop_.now())
            next = std::min(next.value_or(pool.rests_until), pool.rests_until);
        else
            dispatch(program);
    }
    if (next) rest_timer_.arm(*next);
}

void Listeners::return_event(Life& life) {
    life.outgoing = {};
    life.written = 0;
    if (!life.in_hand) return;
    const auto pool = pools_.find(life.program);
    if (pool != pools_.end())
        dropped(pool->second, pool->second.events.give_back(std::move(*life.in_hand)));
    life.in_hand.reset();
}

// The first at once; how many there were, when there is room again.
void Listeners::dropped(Pool& pool, const std::optional<control::ListenerEvent>& event) {
    if (!event || pool.dropped++ > 0) return;
    log_.warn("event-dropped", {{"program", pool.events.name()},
                                {"event", std::string(core::notice_name(event->what))},
                                {"serial", std::to_string(event->serial)},
                                {"reason", "its listener does not keep up, and the buffer is full"},
                                {"hint", "listener = { buffer = … } makes it larger"}});
}

void Listeners::tell_dropped(Pool& pool) {
    if (const auto count = std::exchange(pool.dropped, 0); count > 1)
        log_.warn("events-dropped",
                  {{"program", pool.events.name()}, {"count", std::to_string(count)}});
}

}  // namespace muster::daemon
