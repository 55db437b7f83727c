#include "config/program_tables.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <csignal>

#include "base/text.h"

namespace muster::config {

namespace {

using namespace std::chrono_literals;

constexpr Duration default_stop_wait = 25s;
constexpr std::uint64_t least_rotation = 4096;  // of a log file, in bytes

struct Resource {
    std::string_view name;
    int number;
};
constexpr Resource resources[] = {
    {"as", RLIMIT_AS},           {"core", RLIMIT_CORE},
    {"cpu", RLIMIT_CPU},         {"data", RLIMIT_DATA},
    {"fsize", RLIMIT_FSIZE},     {"locks", RLIMIT_LOCKS},
    {"memlock", RLIMIT_MEMLOCK}, {"msgqueue", RLIMIT_MSGQUEUE},
    {"nofile", RLIMIT_NOFILE},   {"nproc", RLIMIT_NPROC},
    {"rss", RLIMIT_RSS},         {"rtprio", RLIMIT_RTPRIO},
    {"rttime", RLIMIT_RTTIME},   {"sigpending", RLIMIT_SIGPENDING},
    {"stack", RLIMIT_STACK},
};

std::optional<std::uint64_t> read_bound(const Value& value) {
    if (value.kind() == Value::Kind::text) {
        const auto word = value.text();
        if (!word) return std::nullopt;
        if (*word == "unlimited") return RLIM_INFINITY;
    }
    return value.size();
}

void read_limit(const Value& value, int resource, ProgramDraft& draft) {
    if (value.kind() != Value::Kind::array) {
        if (const auto bound = read_bound(value))
            draft.program.limits.push_back({resource, *bound, *bound});
        return;
    }
    std::vector<std::uint64_t> bounds;
    int count = 0;
    value.each_item([&](const Value& item) {
        ++count;
        if (const auto bound = read_bound(item)) bounds.push_back(*bound);
    });
    if (count != 2) return value.complain("must be one limit, or [soft, hard]");
    if (bounds.size() != 2) return;
    if (bounds[0] > bounds[1]) return value.complain("has a soft limit above the hard one");
    draft.program.limits.push_back({resource, bounds[0], bounds[1]});
}

void read_after_delay(const Value& value, ProgramDraft& draft) {
    if (const auto delay = value.duration()) draft.program.ready = ReadyAfter{*delay};
}

void read_tcp(const Value& value, ProgramDraft& draft) {
    const auto address = value.text();
    if (!address) return;
    if (address->starts_with('/')) {
        if (address->size() >= sizeof(sockaddr_un::sun_path))
            return value.complain("is longer than a socket's path can be (107)");
    } else {
        const auto colon = address->rfind(':');
        std::uint16_t port = 0;
        const auto* end = address->data() + address->size();
        if (colon == std::string::npos || colon == 0 ||
            std::from_chars(address->data() + colon + 1, end, port).ptr != end || port == 0)
            return value.complain(
                fmt::format("{} is not an address; write host:port, or the path of a unix socket",
                            value.in_quotes()));
    }
    draft.program.ready = ReadyTcp{*address};
}

template <Duration core::Backoff::*member>
void read_pause(const Value& value, core::Backoff& backoff) {
    if (const auto length = value.duration()) backoff.*member = *length;
}

std::optional<core::StopStep> read_step(const Value& item) {
    const auto text = item.text();
    if (!text) return std::nullopt;
    const std::string_view step = trimmed(*text);
    const auto blank = std::min(step.find(' '), step.size());
    const auto name = step.substr(0, blank);
    const auto wait = trimmed(step.substr(blank));
    const int signal = signal_by_name(name);
    if (signal == 0) {
        static constexpr std::string_view usual[] = {"TERM", "INT",  "QUIT", "HUP",
                                                     "KILL", "USR1", "USR2", "ABRT"};
        std::string upper(name);
        for (char& c : upper) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
        item.complain(fmt::format("{} does not begin with a signal, as \"TERM 25s\" does{}",
                                  item.in_quotes(), suggestion(upper, usual)));
        return std::nullopt;
    }
    if (wait.empty())
        return core::StopStep{SignalNumber{signal},
                              signal == SIGKILL ? Duration::zero() : default_stop_wait};
    if (signal == SIGKILL) {
        item.complain("KILL is the last step and waits for as long as it takes");
        return std::nullopt;
    }
    const auto length = parse_duration(wait);
    if (!length) {
        item.complain(fmt::format(
            "{}: after the signal stands how long to wait, as in \"TERM 25s\"", item.in_quotes()));
        return std::nullopt;
    }
    return core::StopStep{SignalNumber{signal}, *length};
}

}  // namespace

std::string_view limit_name(int resource) {
    const auto* found = std::find_if(std::begin(resources), std::end(resources),
                                     [&](const Resource& r) { return r.number == resource; });
    return found == std::end(resources) ? std::string_view{} : found->name;
}

void read_limits(const Value& value, ProgramDraft& draft) {
    value.each_entry([&](const Value& entry) {
        if (entry.key() == "nice") {
            if (const auto nice = entry.whole<int>(-20, 19)) draft.program.nice = nice;
            return;
        }
        if (entry.key() == "oom_score_adj") {
            if (const auto adj = entry.whole<int>(-1000, 1000)) draft.program.oom_score_adj = adj;
            return;
        }
        const auto* found = std::find_if(std::begin(resources), std::end(resources),
                                         [&](const Resource& r) { return r.name == entry.key(); });
        if (found != std::end(resources)) return read_limit(entry, found->number, draft);
        std::vector<std::string_view> known{"nice", "oom_score_adj"};
        for (const Resource& resource : resources) known.push_back(resource.name);
        static constexpr OtherName others[] = {{"memory", "as"},
                                               {"files", "nofile"},
                                               {"open_files", "nofile"},
                                               {"processes", "nproc"}};
        entry.complain_of_key(unknown_key(entry.key(), known, others));
    });
}

void read_ready(const Value& value, ProgramDraft& draft) {
    draft.has_ready = true;
    draft.ready_at = value.position();
    if (value.kind() == Value::Kind::text) {
        static constexpr Choice<bool> words[] = {
            {"registered", true}, {"notify", std::nullopt}, {"http", std::nullopt}};
        if (value.choice(words)) draft.program.ready = ReadyRegistered{};
        return;
    }
    if (value.kind() != Value::Kind::table)
        return value.complain("must be \"registered\", { tcp = … } or { after = … }");
    static constexpr Key<ProgramDraft> keys[] = {{"tcp", read_tcp},
                                                 {"after", read_after_delay},
                                                 {"http", nullptr},
                                                 {"exec", nullptr},
                                                 {"notify", nullptr}};
    int count = 0;
    value.each_entry([&](const Value&) { ++count; });
    if (count != 1) value.complain("must have just one of tcp and after");
    read_table<ProgramDraft>(value, draft, keys);
}

void read_backoff(const Value& value, ProgramDraft& draft) {
    static constexpr Key<core::Backoff> keys[] = {
        {"initial", read_pause<&core::Backoff::initial>},
        {"max", read_pause<&core::Backoff::max>},
        {"factor",
         [](const Value& v, core::Backoff& b) {
             if (const auto factor = v.real(1, 100)) b.factor = *factor;
         }},
        {"jitter",
         [](const Value& v, core::Backoff& b) {
             if (const auto jitter = v.real(0, 1)) b.jitter = *jitter;
         }},
        {"reset_after", read_pause<&core::Backoff::reset_after>},
    };
    static constexpr OtherName others[] = {
        {"min", "initial"}, {"base", "initial"}, {"multiplier", "factor"}};
    read_table<core::Backoff>(value, draft.program.policy.backoff, keys, others);
}

void read_log_rotate(const Value& value, ProgramDraft& draft) {
    static constexpr Key<LogRotate> keys[] = {
        {"size",
         [](const Value& v, LogRotate& r) {
             const auto size = v.size();
             if (size && *size > 0 && *size < least_rotation)
                 return v.complain("must be at least 4096 bytes, or 0 for no rotation");
             if (size) r.size = *size;
         }},
        {"keep",
         [](const Value& v, LogRotate& r) {
             if (const auto keep = v.whole<std::uint32_t>(0, 1000)) r.keep = *keep;
         }},
        {"compress",
         [](const Value& v, LogRotate& r) {
             if (const auto compress = v.boolean()) r.compress = *compress;
         }},
    };
    static constexpr OtherName others[] = {{"maxbytes", "size"}, {"max_size", "size"},
                                           {"bytes", "size"},    {"backups", "keep"},
                                           {"count", "keep"},    {"gzip", "compress"}};
    read_table<LogRotate>(value, draft.program.log_rotate, keys, others);
}

namespace {

template <Duration HealthRegistry::*member>
void read_patience(const Value& value, HealthRegistry& health) {
    const auto length = value.duration();
    if (length && *length < 1s) return value.complain("must be at least 1s");
    if (length) health.*member = *length;
}

void read_health_registry(const Value& value, ProgramDraft& draft) {
    static constexpr Key<HealthRegistry> keys[] = {
        {"missing_after", read_patience<&HealthRegistry::missing_after>},
        {"heartbeat_timeout", read_patience<&HealthRegistry::heartbeat_timeout>},
    };
    draft.health_registry_at = value.position();
    read_table<HealthRegistry>(value, draft.program.health_registry, keys);
}

}  // namespace

void read_health(const Value& value, ProgramDraft& draft) {
    static constexpr Key<ProgramDraft> keys[] = {
        {"registry", read_health_registry},
        {"exec", nullptr},
        {"http", nullptr},
        {"tcp", nullptr},
        {"watchdog", nullptr},
        {"progress", nullptr},
    };
    read_table<ProgramDraft>(value, draft, keys);
}

// { deaths = 0 }: none is too many.
void read_poison(const Value& value, ProgramDraft& draft) {
    static constexpr Key<Poison> keys[] = {
        {"deaths",
         [](const Value& v, Poison& p) {
             if (const auto deaths = v.whole<std::uint32_t>(0, 1000)) p.deaths = *deaths;
         }},
        {"within",
         [](const Value& v, Poison& p) {
             const auto length = v.duration();
             if (length && *length < 1s) return v.complain("must be at least 1s");
             if (length) p.within = *length;
         }},
    };
    static constexpr OtherName others[] = {
        {"count", "deaths"}, {"limit", "deaths"}, {"period", "within"}, {"window", "within"}};
    read_table<Poison>(value, draft.program.poison, keys, others);
}

namespace {

void read_event(const Value& item, core::NoticeSet& events) {
    const auto name = item.text();
    if (!name) return;
    const core::NoticeSet found = core::notices_called(*name);
    if (!found.is_empty()) return events.add(found);
    if (core::is_foreign_notice(*name))
        return item.complain(
            fmt::format("{} is {}: a child's output goes to the logs, not to listeners",
                        item.in_quotes(), not_yet));
    const auto words = core::notice_words();
    item.complain(fmt::format("{} is no event{}", item.in_quotes(), suggestion(*name, words)));
}

constexpr Key<Listener> listener_keys[] = {
    {"events",
     [](const Value& v, Listener& l) {
         if (v.kind() == Value::Kind::text) return read_event(v, l.events);
         v.each_item([&](const Value& item) { read_event(item, l.events); });
     }},
    {"buffer",
     [](const Value& v, Listener& l) {
         if (const auto size = v.whole<std::uint32_t>(1, 10'000)) l.buffer = *size;
     }},
};
constexpr OtherName listener_names[] = {{"buffer_size", "buffer"}, {"event", "events"}};

}  // namespace

void read_listener(const Value& value, ProgramDraft& draft) {
    Listener listener;
    draft.listener_at = value.position();
    read_table<Listener>(value, listener, listener_keys, listener_names);
    if (value.kind() == Value::Kind::table && !value.has("events"))
        value.complain("has no events, as in { events = [\"PROCESS_STATE_EXITED\", \"TICK_60\"] }");
    draft.program.listener = listener;
}

namespace {

template <std::uint32_t core::AutoscaleRule::*member, std::uint32_t most>
void read_count(const Value& value, Autoscale& autoscale) {
    if (const auto count = value.whole<std::uint32_t>(1, most)) autoscale.*member = *count;
}

void read_queue(const Value& item, Autoscale& autoscale) {
    auto name = item.text();
    if (!name) return;
    if (name->empty() || name->size() > 200 || !is_utf8(*name))
        return item.complain("is no queue: a name has 1 to 200 bytes of UTF-8");
    if (autoscale.queues.size() >= 16) return item.complain("is one too many: 16 are possible");
    if (std::find(autoscale.queues.begin(), autoscale.queues.end(), *name) !=
        autoscale.queues.end())
        return item.complain(fmt::format("{} is there twice", item.in_quotes()));
    autoscale.queues.push_back(std::move(*name));
}

constexpr Key<Autoscale> autoscale_keys[] = {
    {"min", read_count<&core::AutoscaleRule::min, 10'000>},
    {"max", read_count<&core::AutoscaleRule::max, 10'000>},
    {"queues",
     [](const Value& v, Autoscale& a) {
         if (v.kind() == Value::Kind::text) return read_queue(v, a);
         bool is_empty = true;
         const bool is_array = v.each_item([&](const Value& item) {
             is_empty = false;
             read_queue(item, a);
         });
         if (is_array && is_empty) v.complain("names no queue");
     }},
    {"jobs_per_process", read_count<&core::AutoscaleRule::jobs_per_process, 1'000'000>},
    {"down_after",
     [](const Value& v, Autoscale& a) {
         const auto length = v.duration();
         if (length && *length < 1s) return v.complain("must be at least 1s");
         if (length) a.down_after = *length;
     }},
};
constexpr OtherName autoscale_names[] = {
    {"minimum", "min"},           {"maximum", "max"},        {"min_processes", "min"},
    {"max_processes", "max"},     {"queue", "queues"},       {"target", "jobs_per_process"},
    {"jobs", "jobs_per_process"}, {"cooldown", "down_after"}};

}  // namespace

void read_autoscale(const Value& value, ProgramDraft& draft) {
    Autoscale autoscale;
    draft.autoscale_at = value.position();
    read_table<Autoscale>(value, autoscale, autoscale_keys, autoscale_names);
    if (value.kind() != Value::Kind::table) return;
    if (!value.has("queues"))
        value.complain("has no queues, as in { max = 8, queues = [\"jobs\"] }");
    else if (!value.has("max"))
        value.complain("has no max: how many processes there may be");
    else if (autoscale.min > autoscale.max)
        value.complain(fmt::format("min ({}) is more than max ({})", autoscale.min, autoscale.max));
    draft.program.autoscale = std::move(autoscale);
}

void read_stop(const Value& value, ProgramDraft& draft) {
    std::vector<core::StopStep> steps;
    bool is_good = true;
    const auto add = [&](const Value& item) {
        if (!steps.empty() && steps.back().signal.value() == SIGKILL) {
            item.complain("stands after KILL, which is always the last step");
            is_good = false;
            return;
        }
        const auto step = read_step(item);
        is_good = is_good && step;
        if (step) steps.push_back(*step);
    };
    if (value.kind() == Value::Kind::text)
        add(value);
    else if (!value.each_item(add))
        return;
    if (!is_good) return;
    if (steps.size() > 16) return value.complain("has more than 16 steps");
    if (steps.empty() || steps.back().signal.value() != SIGKILL)
        steps.push_back({SignalNumber{SIGKILL}, Duration::zero()});
    draft.program.policy.stop = std::move(steps);
}

}  // namespace muster::config
