#include "control/metrics.h"

#include <fmt/format.h>

#include <array>
#include <iterator>
#include <vector>

#include "control/api.h"
#include "control/supervisord_processes.h"

namespace muster::control {

namespace {

// Each reason is there from the start: a series that begins with its first restart hides it.
constexpr std::array<std::string_view, 11> reasons{"asked",
                                                   "crashed",
                                                   "exited-as-expected",
                                                   "exited-before-ready",
                                                   "spawn-failed",
                                                   "name-taken",
                                                   "start-timed-out",
                                                   "unhealthy",
                                                   "rolled",
                                                   "max-age",
                                                   "memory"};
constexpr std::array<std::string_view, 6> verdicts{"removed",  "nothing-there", "scrap-removed",
                                                   "mismatch", "told",          "left-alone"};

struct Process {  // what the series of one process need
    std::string program;
    std::string id;
    std::string_view state;
    std::optional<std::int32_t> pid;
    std::optional<Duration> uptime;
    std::optional<Duration> next_try_in;
    std::uint64_t restarts;
    std::uint32_t failures;
    bool is_ready;
};

double seconds(Duration duration) {
    return std::chrono::duration<double>(duration).count();
}

std::string escaped(std::string_view value) {
    std::string text;
    for (const char c : value) {
        if (c == '\\' || c == '"') text += '\\';
        if (c == '\n')
            text += "\\n";
        else
            text += c;
    }
    return text;
}

class Writer {
public:
    void series(std::string_view name, std::string_view type, std::string_view help) {
        name_ = name;
        fmt::format_to(out(), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
    }
    template <class Value>
    void sample(std::string_view labels, Value value) {
        fmt::format_to(out(), "{}{} {}\n", name_, labels, value);
    }
    void histogram(const Histogram& histogram) {
        std::uint64_t below = 0;
        for (std::size_t i = 0; i < Histogram::bounds.size(); ++i) {
            below += histogram.counts()[i];
            fmt::format_to(out(), "{}_bucket{{le=\"{}\"}} {}\n", name_, Histogram::bounds[i],
                           below);
        }
        fmt::format_to(out(), "{0}_bucket{{le=\"+Inf\"}} {1}\n{0}_sum {2}\n{0}_count {1}\n", name_,
                       histogram.count(), histogram.sum());
    }
    [[nodiscard]] std::string take() { return std::move(text_); }

private:
    std::back_insert_iterator<std::string> out() { return std::back_inserter(text_); }

    std::string text_;
    std::string_view name_;
};

std::string of_process(const Process& process) {
    return fmt::format("{{program=\"{}\",process=\"{}\"}}", process.program, process.id);
}

std::string of_program(std::string_view program) {
    return fmt::format("{{program=\"{}\"}}", escaped(program));
}

std::string of_kind(std::string_view program, std::string_view kind) {
    return fmt::format("{{program=\"{}\",kind=\"{}\"}}", program, kind);
}

std::vector<Process> processes_of(const MetricsView& view) {
    std::vector<Process> all;
    view.each_process([&](const ProcessView& process) {
        all.push_back({escaped(process.program), escaped(process.id), process.state, process.pid,
                       process.uptime, process.next_try_in, process.restarts, process.failures,
                       process.ready.value_or(false)});
    });
    return all;
}

void write_states(Writer& writer, const std::vector<Process>& processes) {
    std::map<std::string_view, std::map<std::string_view, std::size_t>> counts;
    for (const Process& process : processes) ++counts[process.program][process.state];
    writer.series("muster_processes", "gauge", "Processes of a program in a state.");
    for (auto& [program, by_state] : counts) {
        for (const SupervisordState& state : supervisord_states())
            writer.sample(fmt::format("{{program=\"{}\",state=\"{}\"}}", program, state.name),
                          by_state[state.name]);
    }
}

void write_processes(Writer& writer, const std::vector<Process>& processes) {
    writer.series("muster_process_state", "gauge",
                  "State by supervisord's code: 0 STOPPED, 10 STARTING, 20 RUNNING, 30 BACKOFF, 40 "
                  "STOPPING, 100 EXITED, 200 FATAL.");
    for (const Process& each : processes)
        writer.sample(of_process(each), state_of(each.state).code);
    writer.series("muster_process_ready", "gauge", "1 while the process is up and ready.");
    for (const Process& each : processes) writer.sample(of_process(each), each.is_ready ? 1 : 0);
    writer.series("muster_process_uptime_seconds", "gauge",
                  "Age of the process; nothing while it is down.");
    for (const Process& each : processes) {
        if (each.uptime) writer.sample(of_process(each), seconds(*each.uptime));
    }
    writer.series("muster_process_restarts_total", "counter", "Lives after the first one.");
    for (const Process& each : processes) writer.sample(of_process(each), each.restarts);
    writer.series("muster_process_failures", "gauge",
                  "Failures in a row, from which the pause is computed.");
    for (const Process& each : processes) writer.sample(of_process(each), each.failures);
    writer.series("muster_process_backoff_seconds", "gauge",
                  "Time to the next try; nothing but in BACKOFF.");
    for (const Process& each : processes) {
        if (each.next_try_in) writer.sample(of_process(each), seconds(*each.next_try_in));
    }
}

void write_families(Writer& writer,
                    const std::vector<Process>& processes,
                    const std::unordered_map<std::int32_t, UsageView>& families) {
    const auto each_family = [&](const auto& write) {
        for (const Process& each : processes) {
            const auto found = each.pid ? families.find(*each.pid) : families.end();
            if (found != families.end()) write(of_process(each), found->second);
        }
    };
    writer.series("muster_family_processes", "gauge",
                  "Processes of the family: the child and all that it has started.");
    each_family([&](const std::string& labels, const UsageView& usage) {
        writer.sample(labels, usage.processes);
    });
    writer.series("muster_family_resident_memory_bytes", "gauge",
                  "Resident memory of the family; what its processes share is counted in each.");
    each_family([&](const std::string& labels, const UsageView& usage) {
        writer.sample(labels, usage.memory);
    });
    writer.series("muster_family_cpu_seconds_total", "counter",
                  "CPU time of the family in this life.");
    each_family([&](const std::string& labels, const UsageView& usage) {
        writer.sample(labels, seconds(usage.cpu));
    });
}

void write_programs(Writer& writer,
                    const std::map<std::string, ProgramCounts, std::less<>>& programs) {
    writer.series("muster_restarts_total", "counter", "Restarts by what the last life ended of.");
    for (const auto& [program, counts] : programs) {
        const auto sample = [&, &name = program](std::string_view reason, std::uint64_t count) {
            writer.sample(fmt::format("{{program=\"{}\",reason=\"{}\"}}", escaped(name), reason),
                          count);
        };
        for (const std::string_view reason : reasons) {
            const auto found = counts.restarts.find(reason);
            sample(reason, found == counts.restarts.end() ? 0 : found->second);
        }
    }
    writer.series("muster_deaths_total", "counter",
                  "Deaths by kind: exit, signal, or oom where the cgroup speaks for the "
                  "out-of-memory killer.");
    for (const auto& [program, counts] : programs) {
        const std::string name = escaped(program);

        writer.sample(of_kind(name, "exit"), counts.exits);
        writer.sample(of_kind(name, "signal"), counts.signals);
        writer.sample(of_kind(name, "oom"), counts.oom_kills);
    }
    writer.series("muster_jobs_handed_back_total", "counter",
                  "Jobs of dead workers that were handed back.");
    for (const auto& [program, counts] : programs)
        writer.sample(of_program(program), counts.handed_back);
}

void write_registry(Writer& writer, const MetricsView& view) {
    writer.series("muster_releases_total", "counter",
                  "Deaths that the registry was told of, by what was found there.");
    for (const std::string_view verdict : verdicts) {
        const auto found = view.releases.find(verdict);
        writer.sample(fmt::format("{{verdict=\"{}\"}}", verdict),
                      found == view.releases.end() ? 0 : found->second);
    }
    writer.series("muster_stale_removed_total", "counter",
                  "Stale registrations of others that the sweep has cleared.");
    writer.sample("", view.stale_removed);
    writer.series("muster_clean_seconds", "histogram",
                  "Time from a worker's death to the registry's word that it is cleaned.");
    writer.histogram(view.clean_times);
    writer.series("muster_redis_up", "gauge",
                  "1 while Redis answers; nothing where none is configured.");
    const bool has_redis = view.supervisor.redis_state != "none";
    if (has_redis) writer.sample("", view.supervisor.redis_state == "connected" ? 1 : 0);
    writer.series("muster_redis_debts", "gauge", "Deaths that Redis is still to be told of.");
    writer.sample("", view.supervisor.debts);
}

void write_queues(Writer& writer, const QueuesView& queues) {
    writer.series("muster_queue_depth", "gauge",
                  "Jobs that wait in a queue; nothing where it is not known.");
    for (const QueueDepth& each : queues.depths) {
        writer.sample(
            fmt::format("{{registry=\"{}\",queue=\"{}\"}}", each.registry, escaped(each.queue)),
            each.jobs);
    }
    writer.series(
        "muster_queue_depth_age_seconds", "gauge",
        "Time since the queues were looked at; nothing while their depths are not known.");
    if (queues.age) writer.sample("", seconds(*queues.age));
    writer.series("muster_queues_left_out", "gauge", "Queues that are too many to be looked at.");
    writer.sample("", queues.left_out);
}

void write_own(Writer& writer, const MetricsView& view) {
    writer.series("muster_build_info", "gauge", "1, with the version.");
    writer.sample(fmt::format("{{version=\"{}\"}}", MUSTER_VERSION), 1);
    writer.series("muster_loop_lag_seconds", "histogram",
                  "Work of one turn of the loop: so long an event may have waited.");
    writer.histogram(view.turn_times);
    writer.series("muster_log_lines_dropped_total", "counter",
                  "Own log lines that a full stdout had no room for.");
    writer.sample("", view.dropped_lines);
    writer.series("process_start_time_seconds", "gauge",
                  "Start of the supervisor, since the epoch.");
    writer.sample(
        "", std::chrono::duration<double>(view.supervisor.started_at.time_since_epoch()).count());
    writer.series("process_resident_memory_bytes", "gauge", "Resident memory of the supervisor.");
    writer.sample("", view.own.memory);
    writer.series("process_cpu_seconds_total", "counter", "CPU time of the supervisor.");
    writer.sample("", seconds(view.own.cpu));
}

}  // namespace

std::string metrics_text(const MetricsView& view) {
    Writer writer;
    const std::vector<Process> processes = processes_of(view);
    write_states(writer, processes);
    write_processes(writer, processes);
    write_families(writer, processes, view.families);
    write_programs(writer, view.programs);
    write_registry(writer, view);
    write_queues(writer, view.queues);
    write_own(writer, view);
    return writer.take();
}

}  // namespace muster::control
