// A fleet of instances on one Redis, each with its own connection, roll and sweep, in one process:
// bench_fleet SOCKET INSTANCES WORKERS LEASE-SECONDS SWEEP-SECONDS RUN-SECONDS Registers INSTANCES
// times WORKERS workers of RQ, runs, and prints what it did as one line of JSON. What it cost is
// asked of Redis itself, by tests/bench/fleet_500.py.

#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "loop/loop.h"
#include "loop/timer.h"
#include "redis/client.h"
#include "registry/roll.h"
#include "registry/sweep.h"

namespace {

using namespace muster;
using namespace std::chrono_literals;

struct Plan {
    redis::Url url;
    std::uint32_t instances;
    std::uint32_t workers;
    Duration lease;
    Duration sweep;
    Duration run;
};

class Instance {
public:
    Instance(loop::Loop& loop, const Plan& plan, std::uint32_t number, std::uint64_t& sweeps)
        : plan_(plan),
          id_(fmt::format("fleet-host{}-{:08x}", number, number * 2654435761U)),
          client_(loop,
                  {.url = plan.url},
                  [this](const redis::Client::State& state) { changed(state); }),
          roll_(loop, client_, "muster", facts(), {}),
          sweep_(loop,
                 client_,
                 {*registry::member_sets(registry::RegistryKind::rq)},
                 sweep_options(),
                 {.swept = [&sweeps](const registry::SweepReport&) { ++sweeps; },
                  .removed = {},
                  .could_not = {},
                  .is_blind = {}}) {
        client_.start();
    }

private:
    registry::InstanceFacts facts() const {
        registry::InstanceFacts facts;
        facts.id = id_;
        facts.service = "fleet";
        facts.host = id_;
        facts.version = "bench";
        facts.lease = plan_.lease;
        facts.place = {.pid_namespace = "boot/" + id_,
                       .container = "layer:" + id_,
                       .is_first = true,
                       .pid = 1,
                       .start_ticks = 1,
                       .uid = 0};
        facts.programs = {{"shap", "rq", plan_.workers}};
        return facts;
    }
    registry::SweepOptions sweep_options() const {
        registry::SweepOptions options;
        options.owner = id_;
        options.interval = plan_.sweep;
        return options;
    }

    void changed(const redis::Client::State& state) {
        if (!state.connected) return roll_.disconnected();
        roll_.connected();
        sweep_.start();
        for (std::uint32_t i = 0; i < plan_.workers; ++i) spawn(i);
    }
    void spawn(std::uint32_t number) {
        registry::RollEntry entry;
        entry.given = entry.name = fmt::format("shap-{}-{}", id_, number);
        entry.kind = "rq";
        entry.process = entry.program = "shap";
        entry.pid = 1;
        entry.host = id_;
        roll_.put(entry);
        register_worker("rq:worker:" + entry.name);
        roll_.registered(entry.name, {.name = entry.name,
                                      .pid = "1",
                                      .hostname = id_,
                                      .birth = "2026-05-16T01:24:49.250000Z",
                                      .queues = {"jobs"},
                                      .version = "2.3.3"});
    }
    // As RQ does it.
    void register_worker(const std::string& key) {
        const auto nothing = [](const Result<redis::Reply>&) {};
        client_.command(
            {"HSET", key, "pid", "1", "hostname", id_, "queues", "jobs", "state", "idle"}, nothing);
        client_.command({"SADD", "rq:workers", key}, nothing);
        client_.command({"SADD", "rq:workers:jobs", key}, nothing);
    }

    const Plan& plan_;
    std::string id_;
    redis::Client client_;
    registry::Roll roll_;
    registry::Sweep sweep_;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc != 7) {
        fmt::print(stderr, "bench_fleet SOCKET INSTANCES WORKERS LEASE SWEEP RUN\n");
        return 2;
    }
    const auto number = [&](int at) { return std::atof(argv[at]); };
    const auto time = [&](int at) {
        return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(number(at)));
    };
    Plan plan{.url = {},
              .instances = static_cast<std::uint32_t>(number(2)),
              .workers = static_cast<std::uint32_t>(number(3)),
              .lease = time(4),
              .sweep = time(5),
              .run = time(6)};
    plan.url.socket_path = argv[1];
    plan.url.shown = argv[1];
    loop::Loop loop;
    std::uint64_t sweeps = 0;
    std::vector<std::unique_ptr<Instance>> fleet;
    // Spread over a third of a lease, as starts are in life.
    std::uint32_t made = 0;
    const TimePoint began = loop.now();
    std::function<void()> make;
    loop::Timer next(loop, [&] { make(); });
    make = [&] {
        if (made == plan.instances) {
            fmt::print("all are there\n");
            std::fflush(stdout);
            return;
        }
        fleet.push_back(std::make_unique<Instance>(loop, plan, made++, sweeps));
        next.arm(began + plan.lease / 3 * made / plan.instances);
    };
    make();
    loop::Timer end(loop, [&] { loop.stop(); });
    end.arm(began + plan.lease / 3 + plan.run);
    loop.run();
    fmt::print("{{\"instances\": {}, \"sweeps\": {}}}\n", fleet.size(), sweeps);
    fleet.clear();
    return 0;
}
