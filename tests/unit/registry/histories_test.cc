// Random histories of several instances against a real Redis: they spawn, crash, fall silent and
// come back; their workers work, die, outlive them or lose their keys, and all want one fixed name;
// whoever may settles. After each step I4 to I7 must hold.

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>

#include "../redis/rig.h"
#include "registry/claims.h"
#include "registry/roll.h"
#include "registry/rq.h"
#include "registry/settlement.h"

using namespace muster;
using namespace std::chrono_literals;
using namespace muster::registry;
using test::RedisServer;
using test::run_until;

namespace {

// Somebody listens on a worker's channel for as long as this lives.
class Subscription {
public:
    Subscription(const RedisServer& server, const std::string& name)
        : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        server.socket().copy(address.sun_path, sizeof address.sun_path - 1);
        REQUIRE(connect(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        const std::vector<std::string> words{"SUBSCRIBE", "rq:pubsub:" + name};
        const std::string bytes = redis::formatted(words);
        REQUIRE(write(socket_.get(), bytes.data(), bytes.size()) ==
                static_cast<ssize_t>(bytes.size()));
        std::array<char, 256> answer{};
        REQUIRE(read(socket_.get(), answer.data(), answer.size()) > 0);
    }

private:
    UniqueFd socket_;
};

// A name without randomness, which all would have: its claim says who may.
const std::string fixed_name = "solo";
constexpr ProcessId fixed_process{0};

struct Worker {
    std::string name;
    pid_t pid;
    std::size_t life;
    Incarnation incarnation;
    std::string birth;
    bool is_alive = true;
    bool has_key = true;
    bool is_released = false;  // by its own instance
    bool is_known = false;     // its registration is in the roll
    std::string job;
    std::unique_ptr<Subscription> subscription;
};

struct Life {
    Life(loop::Loop& loop, RedisServer& server, InstanceFacts facts, SettlementTools tools)
        : client(loop,
                 {.url = server.url()},
                 [this](const redis::Client::State& state) {
                     if (state.connected) roll.connected();
                 }),
          rq(client,
             {.hostname = facts.host, .owner = facts.id, .prefix = "muster", .is_of_family = {}}),
          claims(loop, client, {"muster", facts.id}),
          roll(loop, client, "muster", std::move(facts), {}),
          settlement(loop, client, "muster", roll.me(), std::move(tools)) {
        client.start();
    }
    redis::Client client;
    Rq rq;
    Claims claims;
    Roll roll;
    Settlement settlement;
    bool is_silent = false;
};

class World {
public:
    explicit World(unsigned seed) : dice_(seed) {
        server.ask({"SET", "muster:since", "1"});
        server.ask({"SADD", "rq:queues", "rq:queue:jobs"});
    }

    void step() {
        switch (pick(11)) {
            case 0:
            case 1:
                return spawn();
            case 2:
                return take_job();
            case 3:
                return die();
            case 4:
                return crash();
            case 5:
                return fall_silent_or_return();
            case 6:
                return lose_a_sign_of_life();
            case 7:
                return pass_time();
            case 8:
                return settle();
            case 9:
                return begin_life();
            case 10:
                return spawn_under_fixed_name();
        }
    }

    void check() {
        for (const auto& [label, worker] : workers_) {
            const std::string& name = worker.name;
            CAPTURE(name);
            if (worker.is_alive) {             // I4
                CHECK(bearers_of(name) == 1);  // I7
                const std::string key = "rq:worker:" + name;
                if (worker.has_key) {
                    CHECK(server.text({"HGET", key, "birth"}) == worker.birth);
                    CHECK(server.text({"HGET", key, "pid"}) == std::to_string(worker.pid));
                }
                CHECK(server.number({"SISMEMBER", "rq:workers", key}) == 1);
                CHECK(server.number({"SISMEMBER", "rq:workers:jobs", key}) == 1);
                if (!worker.job.empty())  // I6: nothing that may still run is handed back
                    CHECK(server.text({"ZSCORE", "rq:wip:jobs", worker.job}) != "1");
            } else if (worker.is_released && is_last_bearer(label)) {  // I5
                CHECK_FALSE(is_registered(name));
            }
        }
        for (const auto& [job, times] : handed_back_) {
            CAPTURE(job);
            CHECK(times == 1);  // I6
        }
    }

    // Time enough for everything to be settled that can be.
    void end() {
        if (lives_.empty() || !std::ranges::any_of(lives_, can_settle)) begin_life();
        for (int i = 0; i < 4; ++i) {
            for (auto& [label, worker] : workers_) {
                if (!worker.is_alive && worker.has_key) expire_key(worker);
            }
            pass_time();
            settle();
            check();
        }
        for (const auto& [label, worker] : workers_) {
            const std::string& name = worker.name;
            CAPTURE(name);
            const bool is_heard_of = lives_[worker.life] && !lives_[worker.life]->is_silent;
            if (worker.is_alive || is_heard_of) continue;
            if (is_last_bearer(label)) CHECK_FALSE(is_registered(name));
            if (!worker.job.empty()) CHECK(handed_back_[worker.job] == 1);
        }
    }

    int settlements = 0;
    int claims_had = 0;
    int claims_refused = 0;

private:
    std::size_t pick(std::size_t below) {
        return std::uniform_int_distribution<std::size_t>{0, below - 1}(dice_);
    }
    static bool can_settle(const std::unique_ptr<Life>& life) { return life && !life->is_silent; }

    Life* some_life() {
        std::vector<Life*> all;
        for (const auto& life : lives_) {
            if (can_settle(life)) all.push_back(life.get());
        }
        return all.empty() ? nullptr : all[pick(all.size())];
    }
    Worker* some_worker(const std::function<bool(const Worker&)>& fits) {
        std::vector<Worker*> all;
        for (auto& [label, worker] : workers_) {
            if (fits(worker)) all.push_back(&worker);
        }
        return all.empty() ? nullptr : all[pick(all.size())];
    }
    std::ptrdiff_t bearers_of(const std::string& name) const {
        return std::ranges::count_if(workers_, [&](const auto& one) {
            return one.second.is_alive && one.second.name == name;
        });
    }
    bool is_last_bearer(int label) const {
        return std::ranges::none_of(workers_, [&](const auto& one) {
            return one.first > label && one.second.name == workers_.at(label).name;
        });
    }
    // By its TTL: whoever has the name since keeps his own.
    void expire_key(Worker& worker) {
        const std::string key = "rq:worker:" + worker.name;
        if (server.text({"HGET", key, "pid"}) == std::to_string(worker.pid))
            server.ask({"DEL", key});
        worker.has_key = false;
    }
    std::size_t index_of(const Life* life) const {
        return static_cast<std::size_t>(
            std::ranges::find_if(lives_, [&](const auto& one) { return one.get() == life; }) -
            lives_.begin());
    }
    bool is_registered(const std::string& name) {
        const std::string key = "rq:worker:" + name;
        return server.number({"EXISTS", key}) == 1 ||
               server.number({"SISMEMBER", "rq:workers", key}) == 1 ||
               server.number({"SISMEMBER", "rq:workers:jobs", key}) == 1;
    }
    void wait() {
        REQUIRE(run_until(loop, [&] {
            return std::ranges::all_of(lives_, [](const auto& life) {
                return !life || (life->client.is_connected() && life->client.open_commands() == 0);
            });
        }));
    }

    void begin_life() {
        if (std::ranges::count_if(lives_, can_settle) >= 4) return;
        const std::string id = "life-" + std::to_string(lives_.size());
        // Some share a place: after each other, and at the same time.
        const std::string place = "place-" + std::to_string(pick(3));
        places_.push_back(place);
        InstanceFacts facts{.id = id,
                            .service = "s",
                            .host = "box",
                            .version = "1",
                            .started_at = WallTime{1s},
                            .lease = 3600s,
                            .place = {},
                            .programs = {}};
        facts.place.pid_namespace = place;
        SettlementTools tools{
            .witness = [this](
                           const InstanceFacts& other, const std::vector<RollEntry>&,
                           const std::function<void(Witnessed)>& done) { done(witness(other.id)); },
            .release =
                [this, index = lives_.size()](const Release& release, System::ReleaseDone done) {
                    lives_[index]->rq.release(release, std::move(done));
                },
            .vetoes = {},
            .settled =
                [this](const InstanceFacts&, const Release&, const Released& released) {
                    ++settlements;
                    count(released);
                },
            .left = [](const InstanceFacts&, const std::string&) {},
            .trouble = [](const Error& error) { FAIL(error.message()); }};
        lives_.push_back(std::make_unique<Life>(loop, server, std::move(facts), std::move(tools)));
        wait();
        bool is_done = false;
        lives_.back()->settlement.settle_place([&](bool is_whole) {
            CHECK(is_whole);
            is_done = true;
        });
        REQUIRE(run_until(loop, [&] { return is_done; }));
        for (auto& [label, worker] :
             workers_) {  // what was proved is settled before the first worker
            const bool was_here = places_[worker.life] == place && !lives_[worker.life];
            if (was_here && is_last_bearer(label) &&
                witness("life-" + std::to_string(worker.life)).is_dead)
                CHECK_FALSE(is_registered(worker.name));
        }
    }

    // What the processes of that place show.
    Witnessed witness(const std::string& id) {
        const auto index = static_cast<std::size_t>(std::stoul(id.substr(5)));
        if (lives_[index]) return {false, "its supervisor lives"};
        const bool has_survivors = std::ranges::any_of(workers_, [&](const auto& one) {
            return one.second.life == index && one.second.is_alive;
        });
        return {!has_survivors, "survivors"};
    }

    void spawn() {
        Life* life = some_life();
        if (life == nullptr) return;
        const std::string name = "w" + std::to_string(++last_number_);
        CHECK(bearers_of(name) == 0);
        spawn(*life, name);
    }

    bool claims(Life& life, bool is_its_holder) {
        std::optional<bool> has_it;
        life.claims.claim({.process = fixed_process,
                           .name = fixed_name,
                           .holder_key = is_its_holder ? "" : life.rq.holder_key(fixed_name)},
                          [&](const Result<ClaimOutcome>& outcome) {
                              REQUIRE(outcome);
                              has_it = outcome->claimed;
                          });
        REQUIRE(run_until(loop, [&] { return has_it.has_value(); }));
        return *has_it;
    }

    void spawn_under_fixed_name() {
        Life* life = some_life();
        if (life == nullptr || has_fixed_name(index_of(life))) return;
        if (!claims(*life, false)) {
            ++claims_refused;
            return;
        }
        ++claims_had;
        CHECK(bearers_of(fixed_name) == 0);  // I7
        spawn(*life, fixed_name);
    }
    // A process has one life at a time (I1).
    bool has_fixed_name(std::size_t life) { return holder_in(life) != nullptr; }
    Worker* holder_in(std::size_t life) {
        for (auto& [label, worker] : workers_) {
            if (worker.is_alive && worker.life == life && worker.name == fixed_name) return &worker;
        }
        return nullptr;
    }
    // Its key has expired: then its supervisor's claim alone holds the name.
    bool hangs_by_its_claim(std::size_t life) {
        const Worker* holder = holder_in(life);
        return holder != nullptr && !holder->has_key;
    }

    void spawn(Life& life, const std::string& name) {
        const int number = ++last_number_;
        Worker worker{.name = name,
                      .pid = 100 + number,
                      .life = index_of(&life),
                      .incarnation = Incarnation{static_cast<std::uint32_t>(number)},
                      .birth = "2026-05-16T01:24:49.250000Z",
                      .job = {},
                      .subscription = {}};
        RollEntry entry{.given = worker.name,
                        .name = worker.name,
                        .kind = "rq",
                        .process = "p",
                        .program = "p",
                        .incarnation = worker.incarnation,
                        .pid = worker.pid,
                        .start_ticks = 1,
                        .host = "box",
                        .spawned_at = WallTime{1'778'894'688s},
                        .registered_pid = {},
                        .birth = {},
                        .queues = {},
                        .version = {},
                        .jobs = core::Jobs::hand_back,
                        .poison = {},
                        .value = {}};
        life.roll.put(entry);
        wait();
        const std::string key = "rq:worker:" + worker.name;
        server.ask({"HSET", key, "pid", std::to_string(worker.pid), "hostname", "box", "birth",
                    worker.birth, "queues", "jobs", "version", "2.3.3"});
        server.ask({"EXPIRE", key, "480"});
        server.ask({"SADD", "rq:workers", key});
        server.ask({"SADD", "rq:workers:jobs", key});
        worker.subscription = std::make_unique<Subscription>(server, worker.name);
        if (pick(10) > 0) {
            life.roll.registered(worker.name, {.name = worker.name,
                                               .pid = std::to_string(worker.pid),
                                               .hostname = "box",
                                               .birth = worker.birth,
                                               .queues = {"jobs"},
                                               .version = "2.3.3"});
            worker.is_known = true;
        }
        wait();
        workers_.emplace(number, std::move(worker));
    }

    void take_job() {
        Worker* worker =
            some_worker([](const Worker& one) { return one.is_alive && one.job.empty(); });
        // Whose a job is is known by the name: of a fixed one nobody could tell.
        if (worker == nullptr || !worker->is_known || worker->name == fixed_name) return;
        const std::string id = "job" + std::to_string(++last_number_);
        worker->job = id + ":0123456789abcdef0123456789abcdef";
        server.ask({"HSET", "rq:job:" + id, "status", "started", "worker_name", worker->name,
                    "retries_left", "1"});
        server.ask({"ZADD", "rq:wip:jobs", "99999999999", worker->job});
    }

    void end_of(Worker& worker) {
        worker.is_alive = false;
        worker.subscription.reset();
    }

    void die() {
        Worker* worker = some_worker(
            [&](const Worker& one) { return one.is_alive && can_settle(lives_[one.life]); });
        if (worker == nullptr) return;
        end_of(*worker);
        release(*worker);
    }

    void release(Worker& worker) {
        Life& life = *lives_[worker.life];
        Release death{.process = worker.name == fixed_name ? fixed_process : ProcessId{1},
                      .incarnation = worker.incarnation,
                      .name = worker.name,
                      .pid = Pid{worker.pid},
                      .hostname = "box",
                      .spawned_at = WallTime{1'778'894'688s},
                      .registration = Registration{.name = worker.name,
                                                   .pid = std::to_string(worker.pid),
                                                   .hostname = "box",
                                                   .birth = worker.birth,
                                                   .queues = {"jobs"},
                                                   .version = "2.3.3"}};
        life.rq.release(death, [&, given = worker.name](const Result<Released>& result) {
            REQUIRE(result);
            count(*result);
            life.roll.remove(given);
        });
        wait();
        worker.is_released = true;
        worker.has_key = false;
    }

    void count(const Released& released) {
        for (const std::string& job : released.handed_back)
            ++handed_back_[job + ":0123456789abcdef0123456789abcdef"];
        // RQ takes it from there.
        for (const std::string& job : released.handed_back) taken_.push_back(job);
    }

    void crash() {
        if (lives_.empty()) return;
        const std::size_t index = pick(lives_.size());
        if (!lives_[index]) return;
        if (hangs_by_its_claim(index)) end_of(*holder_in(index));
        lives_[index].reset();
        for (auto& [label, worker] : workers_) {
            if (worker.life == index && worker.is_alive && pick(10) < 7) end_of(worker);
        }
    }

    void fall_silent_or_return() {
        if (lives_.empty()) return;
        const std::size_t index = pick(lives_.size());
        const auto& life = lives_[index];
        if (!life || hangs_by_its_claim(index)) return;
        life->is_silent = !life->is_silent;
        if (life->is_silent) return life->roll.disconnected();
        life->roll.connected();
        if (has_fixed_name(index)) CHECK(claims(*life, true));
        wait();
    }

    // Never all of them: then only the clock could tell it from a dead one.
    void lose_a_sign_of_life() {
        Worker* worker = some_worker(
            [](const Worker& one) { return one.is_alive && one.has_key && one.subscription; });
        if (worker == nullptr) return;
        const bool needs_key = worker->name == fixed_name && !can_settle(lives_[worker->life]);
        if (needs_key || pick(2) == 0) {
            worker->subscription.reset();
            return;
        }
        server.ask({"DEL", "rq:worker:" + worker->name});  // stopped for longer than its TTL
        worker->has_key = false;
    }

    // A minute, of the server's: whoever is not heard of gets older.
    void pass_time() {
        for (const auto& row : {"muster:looks:rq"}) {
            const auto looks = server.ask({"HGETALL", row});
            for (std::size_t i = 0; i + 1 < looks.elements.size(); i += 2)
                server.ask({"HSET", row, looks.elements[i].text,
                            std::to_string(std::stoll(looks.elements[i + 1].text) - 61'000)});
        }
        for (std::size_t i = 0; i < lives_.size(); ++i) {
            const std::string id = "life-" + std::to_string(i);
            if (!can_settle(lives_[i])) server.ask({"ZADD", "muster:instances", "XX", "1", id});
            server.ask({"DEL", "muster:settling:" + id});
            const std::string claim = claim_key("muster", fixed_name);  // prolonged by nobody
            if (!can_settle(lives_[i]) && server.text({"GET", claim}).starts_with(id + "/"))
                server.ask({"DEL", claim});
        }
        for (auto& [label, worker] : workers_) {
            if (worker.is_alive) continue;
            if (worker.has_key && pick(2) == 0) expire_key(worker);
            if (!worker.job.empty() && !worker.has_key)
                server.ask({"ZADD", "rq:wip:jobs", "XX", "LT", "100", worker.job});
        }
        for (const std::string& job : taken_) {
            server.ask({"HSET", "rq:job:" + job, "status", "queued"});
            server.ask({"ZREM", "rq:wip:jobs", job + ":0123456789abcdef0123456789abcdef"});
        }
        taken_.clear();
    }

    // All that may look, at the same moment.
    void settle() {
        std::vector<std::string> ids;
        for (std::size_t i = 0; i < lives_.size(); ++i) ids.push_back("life-" + std::to_string(i));
        for (const auto& life : lives_) {
            if (can_settle(life)) life->settlement.settle(ids);
        }
        wait();
    }

public:
    RedisServer server;
    loop::Loop loop;

private:
    std::mt19937 dice_;
    std::vector<std::unique_ptr<Life>> lives_;  // null: crashed
    std::vector<std::string> places_;
    std::map<int, Worker> workers_;
    std::map<std::string, int> handed_back_;
    std::vector<std::string> taken_;
    int last_number_ = 0;
};

}  // namespace

TEST_CASE("I4 I5 I6 I7 hold in random histories of instances that crash, fall silent and settle") {
    int settlements = 0;
    int had = 0;
    int refused = 0;
    for (unsigned seed = 1; seed <= 12; ++seed) {
        CAPTURE(seed);
        World world(seed);
        for (int i = 0; i < 120; ++i) {
            CAPTURE(i);
            world.step();
            world.check();
        }
        world.end();
        settlements += world.settlements;
        had += world.claims_had;
        refused += world.claims_refused;
    }
    CHECK(settlements > 50);  // the histories were worth it
    CHECK(had > 12);
    CHECK(refused > 12);
}
