#include "client/sweep.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <limits>
#include <optional>
#include <utility>
#include <variant>

#include "base/text.h"
#include "client/offline.h"
#include "client/redis_options.h"
#include "client/table.h"
#include "config/load.h"
#include "control/registry_routes.h"
#include "core/job_system.h"
#include "loop/loop.h"
#include "loop/timer.h"
#include "redis/client.h"
#include "registry/sweep.h"

namespace muster::client {

namespace {

using namespace std::chrono_literals;

// Where the Redis is and how to speak to it.
struct Place {
    redis::ClientOptions options;
    std::string prefix = "muster";
};

struct Refusal {
    int status;
    Error error;
};

std::optional<std::string> url_of_environment() {
    for (const char* variable : {"MUSTER_REDIS_URL", "REDIS_URL"}) {
        if (auto url = config::process_environment()(variable); url && !url->empty()) return url;
    }
    return std::nullopt;
}

Error no_redis() {
    return Error{
        "no Redis to look at: there is no --redis, $MUSTER_REDIS_URL or $REDIS_URL, and no "
        "configuration with a [redis]",
        "muster sweep --redis redis://127.0.0.1:6379/0"};
}

// The command line counts before the file, and the file before the environment: as with `run`. With
// a URL of its own it needs no file; one that is named all the same says how to speak to it.
std::variant<Place, Refusal> find_place(const CommandLine& line) {
    config::Redis settings;
    const bool needs_file = line.sweep.redis.empty() || !line.config_path.empty();
    if (const auto path = find_config(line.config_path); needs_file && path) {
        const auto loaded = config::load_file(*path, config::process_environment());
        if (const auto* problems = std::get_if<std::vector<config::Problem>>(&loaded))
            return Refusal{exit_usage, Error{config::describe(problems->front())}};
        settings = std::get<config::Config>(loaded).redis.value_or(settings);
    }
    if (!line.sweep.redis.empty()) settings.url = line.sweep.redis;
    if (settings.url.empty()) settings.url = url_of_environment().value_or("");
    if (settings.url.empty()) return Refusal{exit_usage, no_redis()};
    if (!line.sweep.prefix.empty()) settings.prefix = line.sweep.prefix;
    auto parsed = redis::parse_url(settings.url);
    if (!parsed) return Refusal{exit_usage, parsed.error()};
    return Place{client_options(std::move(*parsed), settings), settings.prefix};
}

std::optional<registry::MemberSets> sets_named(const std::string& word) {
    for (const auto kind : {registry::RegistryKind::rq, registry::RegistryKind::sidekiq}) {
        if (core::traits(kind).word == word) return registry::member_sets(kind);
    }
    return std::nullopt;
}

std::string lone_owner() {
    std::array<char, 256> host{};
    ::gethostname(host.data(), host.size() - 1);
    return fmt::format("muster-sweep-{}-{}-{}", host.data(), ::getpid(), random_text(6));
}

// One connection, one sweep, or two with the time between the looks in between.
class LoneSweep {
public:
    LoneSweep(Place place, registry::MemberSets sets, const SweepWanted& wanted)
        : wanted_(wanted),
          client_(loop_,
                  std::move(place.options),
                  [this](const redis::Client::State& state) { changed(state); }),
          sweep_(loop_, client_, {std::move(sets)}, options(place.prefix), {}),
          second_look_(loop_, [this] { run(); }) {}

    Result<control::SweepView> result() {
        client_.start();
        loop_.run();
        if (error_) return *error_;
        return std::move(view_);
    }

private:
    static registry::SweepOptions options(const std::string& prefix) {
        registry::SweepOptions made;
        made.prefix = prefix;
        made.owner = lone_owner();
        made.interval = Duration{};
        made.keys_searched = std::numeric_limits<std::size_t>::max();  // it was asked for
        return made;
    }

    void changed(const redis::Client::State& state) {
        if (!state.connected) return end(Error{state.why});
        // Where ROLE is refused, a replica is still known by refusing to be written to.
        client_.command({"ROLE"}, [this](const Result<redis::Reply>& role) {
            if (!role) return end(role.error());
            const bool is_replica =
                role->is_array() && !role->elements.empty() && role->elements[0].text == "slave";
            if (is_replica)
                return end(Error{fmt::format("{} is a replica: nothing is decided from what it has",
                                             client_.url().shown),
                                 "name the master"});
            run();
        });
    }

    void run() {
        view_ = {};
        view_.applied = wanted_.applies;
        sweep_.run(
            wanted_.applies,
            [this](const registry::Stale& stale) {
                view_.entries.push_back({.name = stale.name,
                                         .set = stale.set,
                                         .fate = registry::fate_word(stale.fate),
                                         .due_in = stale.due_in,
                                         .why = stale.why});
            },
            [this](const Result<registry::SweepReport>& report) {
                if (!report) return end(report.error());
                ran(*report);
            });
    }

    void ran(const registry::SweepReport& report) {
        view_.seen = report.seen;
        view_.stale = report.stale;
        view_.removed = report.removed;
        view_.due = report.due;
        view_.waiting = report.waiting;
        view_.left = report.left;
        view_.next_due = report.next_due;
        view_.blind_spot = report.blind_spot;
        if (!wanted_.waits || report.waiting == 0 || has_waited_) return loop_.stop();
        has_waited_ = true;
        fmt::print(stderr, "muster sweep: {} wait for the second look, {} from now\n",
                   report.waiting, format_seconds(report.next_due));
        second_look_.arm(loop_.now() + report.next_due + 100ms);
    }

    void end(Error error) {
        if (!error_) error_ = std::move(error);
        loop_.stop();
    }

    SweepWanted wanted_;
    loop::Loop loop_;
    std::optional<Error> error_;
    control::SweepView view_;
    bool has_waited_ = false;
    redis::Client client_;
    registry::Sweep sweep_;
    loop::Timer second_look_;
};

Printed failed(int status, const Error& error) {
    std::string text = fmt::format("muster sweep: {}\n", error.message());
    if (!error.hint().empty()) text += fmt::format("  {}\n", error.hint());
    return {.status = status, .out = {}, .err = std::move(text)};
}

Cell fate_cell(std::string_view fate) {
    if (fate == "removed") return {"removed", Colour::good};
    if (fate == "due") return {"would be removed", Colour::bad};
    if (fate == "waiting") return {"waits", Colour::busy};
    return {"left", Colour::dim};
}

}  // namespace

std::string sweep_table(const control::SweepView& sweep, bool with_colour) {
    if (sweep.stale == 0) return fmt::format("{} entries seen, none is stale\n", sweep.seen);
    std::vector<std::vector<Cell>> rows{{{"NAME"}, {"WHAT"}, {"WHY"}}};
    for (const auto& entry : sweep.entries)
        rows.push_back({{entry.name}, fate_cell(entry.fate), {entry.why}});
    std::string text = table(rows, with_colour);
    text +=
        fmt::format("{} entries seen, {} stale: {} {}, {} waiting for the second look, {} left\n",
                    sweep.seen, sweep.stale, sweep.applied ? sweep.removed : sweep.due,
                    sweep.applied ? "removed" : "would be removed", sweep.waiting, sweep.left);
    if (sweep.waiting > 0)
        text += fmt::format(
            "run it again in {} s, or later: only what is stale at two looks a "
            "minute apart goes (--wait does both)\n",
            std::chrono::ceil<std::chrono::seconds>(sweep.next_due).count());
    if (sweep.due > 0) text += "--apply removes them\n";
    return text;
}

Printed sweep(const CommandLine& line) {
    auto sets = sets_named(line.sweep.registry);
    if (!sets)
        return failed(exit_usage, Error{fmt::format("--registry {}: there is nothing to sweep",
                                                    line.sweep.registry),
                                        "rq and sidekiq keep sets of workers that can be swept"});
    auto place = find_place(line);
    if (const auto* refusal = std::get_if<Refusal>(&place))
        return failed(refusal->status, refusal->error);
    LoneSweep lone{std::get<Place>(std::move(place)), std::move(*sets), line.sweep};
    const auto view = lone.result();
    if (!view) return failed(exit_failed, view.error());
    Printed printed;
    if (line.json)
        printed.out = control::sweep_json(*view) + "\n";
    else
        printed.out = sweep_table(*view, wants_colour());
    if (!view->blind_spot.empty())
        printed.err = fmt::format("muster sweep: {}\n", view->blind_spot);
    return printed;
}

}  // namespace muster::client
