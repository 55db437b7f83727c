// The operators' side of the supervisor: views for every protocol, verbs as posted events, answers
// through waits.

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "base/text.h"
#include "control/access.h"
#include "control/control_socket.h"
#include "control/default_paths.h"
#include "control/json_routes.h"
#include "daemon/event_stream.h"
#include "daemon/selector.h"
#include "daemon/supervisor.h"

namespace muster::daemon {

namespace {

using namespace std::chrono_literals;

}  // namespace

Outcome Supervisor::open_control() {
    supervisord_ = std::make_unique<control::SupervisordApi>(backend(), supervisord_backend());
    control::JsonRoutes routes{backend()};
    const control::HttpServer::Handler handler = [this, routes = std::move(routes)](
                                                     const control::Request& request,
                                                     const control::HttpServer::Respond& respond) {
        if (request.path == "/RPC2" || request.path == "/RPC2/")
            supervisord_->handle(request, respond);
        else if (control::is_log_stream(request.path))
            supervisord_->stream(request, respond);
        else
            routes.handle(request, respond);
    };
    // Whoever may open the socket may do with us what he likes: room for a crowd that comes at
    // once.
    server_ = std::make_unique<control::HttpServer>(loop_, handler,
                                                    control::HttpLimits{.connections = 256});
    if (auto opened = open_http(handler); !opened) return opened;
    const auto accepted = [this](std::unique_ptr<loop::Stream> stream) {
        if (auto why = control::refused(stream->peer_user(), ::geteuid()))
            return server_->turn_away(std::move(stream), *why);
        server_->serve(std::move(stream));
    };
    const std::optional<std::string>& asked = settings_.config.supervisor.control;
    if (asked) {
        auto socket = control::ControlSocket::open(loop_, *asked, accepted);
        if (!socket) return socket.error();
        socket_ = std::move(*socket);
        return Done{};
    }
    if (settings_.is_plain) return Done{};  // a better tini needs no socket
    std::string tried;
    for (const std::string& path : control::default_control_paths()) {
        auto socket = control::ControlSocket::open(loop_, path, accepted);
        if (socket) {
            socket_ = std::move(*socket);
            return Done{};
        }
        tried += (tried.empty() ? "" : "; ") + socket.error().message();
    }
    log_.warn("no-control-socket",
              {{"reason", tried}, {"hint", "set supervisor.control; everything else works"}});
    return Done{};
}

// A server of its own: what comes over the network leaves the socket's connections free.
Outcome Supervisor::open_http(const control::HttpServer::Handler& handler) {
    const config::Supervisor& settings = settings_.config.supervisor;
    if (!settings.http) return Done{};
    http_server_ = std::make_unique<control::HttpServer>(
        loop_, [handler, access = control::Access{settings.http_token}](
                   const control::Request& request, const control::HttpServer::Respond& respond) {
            if (auto why = control::refused(access, request)) return respond(std::move(*why));
            handler(request, respond);
        });
    auto listener = loop::TcpListener::listen(
        loop_, settings.http->ip, settings.http->port,
        [this](std::unique_ptr<loop::Stream> stream) { http_server_->serve(std::move(stream)); });
    if (!listener) return listener.error().while_doing("supervisor.http");
    http_listener_ = std::move(*listener);
    log_.info("listening",
              {{"address", settings.http->ip},
               {"port", std::to_string(settings.http->port)},
               {"token", settings.http_token.empty() ? "none: this host only" : "required"}});
    return Done{};
}

control::Backend Supervisor::backend() {
    return {
        .each_process = [this](const auto& visit) { each_process(visit); },
        .supervisor = [this] { return view(); },
        .act = [this](control::Verb verb, const std::string& selector, bool wait,
                      const control::VerbDone& done) { return act(verb, selector, wait, done); },
        .signal = [this](const std::string& selector, int number,
                         const control::VerbDone& done) { return signal(selector, number, done); },
        .reload = [this](bool dry_run, bool wait,
                         const control::ReloadDone& done) { reload(dry_run, wait, done); },
        .scale =
            [this](const std::string& program, std::uint32_t processes, bool wait,
                   const control::VerbDone& done) { return scale(program, processes, wait, done); },
        .reread = [this](const control::RereadDone& done) { reread(done); },
        .add_group = [this](const std::string& group) { return add_group(group); },
        .remove_group = [this](const std::string& group) { return remove_group(group); },
        .shutdown = [this] { begin_shutdown(false, "asked over the control socket"); },
        .not_ready = [this] { return not_ready(); },
        .logs = [this](
                    const control::LogQuery& query,
                    const control::HttpServer::Respond& respond) { return logs(query, respond); },
        .registry = registry_backend(),
        .why =
            [this](const std::string& id,
                   const std::function<void(const control::WhyView&)>& tell) {
                return why(id, tell);
            },
        .metrics = [this](const auto& tell) { metrics(tell); },
        .events =
            [this](const control::EventQuery& query) { return event_response(events_, query); },
    };
}

// In the file's order; what is leaving comes last.
void Supervisor::each_process(const std::function<void(const control::ProcessView&)>& visit) {
    for (const ProgramId program : order_) visit_program(program, visit);
    for (std::uint32_t p = 0; p < fleet_.program_count(); ++p) {
        if (!fleet_.is_there(ProgramId{p})) visit_program(ProgramId{p}, visit);
    }
}

void Supervisor::visit_program(ProgramId program,
                               const std::function<void(const control::ProcessView&)>& visit) {
    const TimePoint now = loop_.now();
    for (const ProcessId id : fleet_.processes_of(program)) {
        const core::ProcessMachine& machine = fleet_.machine(id);
        const ProcessParts& parts = parts_[id.value()];
        const std::string held = fleet_.held_by(id);
        control::ProcessView process;
        process.id = parts.id;
        process.program = fleet_.program_name(program);
        process.group = group_of_[program.value()];
        process.index = parts.index;
        process.state = core::state_name(machine.state());
        process.incarnation = machine.incarnation().value();
        process.restarts = machine.restarts();
        process.failures = machine.failures();
        process.held = held;
        if (parts.ill) process.health = parts.ill->empty() ? "healthy" : "unhealthy";
        process.last_exit = parts.last_exit.get();
        if (parts.child) {
            process.pid = parts.child->pid.value();
            process.name = parts.registered_name();
            process.started_at = parts.spawned_at;
            process.uptime = now - parts.spawned_since;
            process.ready = machine.state() == core::State::running;
            process.quiet = parts.is_quiet;
        }
        process.ended_as_expected = machine.ended_as_expected();
        if (parts.spawned_at != WallTime{}) process.last_spawn = parts.spawned_at;
        process.spawn_error = parts.spawn_error;
        const config::ProgramSettings& settings = lives_.settings_of(id);
        process.command = programs_.command(fleet_.program_of(id)).front();
        process.stdout_path = log_path(parts, settings, false);
        process.stderr_path = log_path(parts, settings, true);
        if (const auto next = machine.next_try())
            process.next_try_in = std::max(Duration{}, *next - now);
        visit(process);
    }
}

control::SupervisorView Supervisor::view() const {
    control::SupervisorView view;
    view.instance = instance_;
    view.service = settings_.config.supervisor.service;
    view.host = host_;
    view.pid = ::getpid();
    view.started_at = started_at_;
    view.state = stage_ == Stage::running ? "running" : "shutting_down";
    view.config_path = settings_.config_path;
    view.redis_state = registrar_ ? registrar_->is_away() ? "away" : "connected" : "none";
    if (registrar_) {
        view.redis_url = registrar_->shown_url();
        view.redis_error = registrar_->trouble();
        view.debts = registrar_->debts();
        view.scaled = scaled();
    }
    return view;
}

// Ready: each process that should be up is up. A one-shot that has ended as expected is as ready as
// it gets, and what an operator has stopped is not missed.
std::vector<std::string> Supervisor::not_ready() const {
    std::vector<std::string> missing;
    for (std::uint32_t i = 0; i < fleet_.size(); ++i) {
        if (!fleet_.is_there(ProcessId{i}) || fleet_.is_leaving(ProcessId{i})) continue;
        const core::ProcessMachine& machine = fleet_.machine(ProcessId{i});
        const std::string held = fleet_.held_by(ProcessId{i});
        switch (machine.state()) {
            case core::State::running:
                continue;
            case core::State::stopped:
                if (held.empty()) continue;
                break;
            case core::State::exited:
                if (machine.ended_as_expected()) continue;
                break;
            case core::State::starting:
            case core::State::backoff:
            case core::State::stopping:
            case core::State::fatal:
                break;
        }
        const ProcessParts& parts = parts_[i];
        std::string why = held.empty() ? parts.trouble : held;
        missing.push_back(fmt::format("{}: {}{}{}", parts.id, core::state_name(machine.state()),
                                      why.empty() ? "" : ", ", why));
    }
    return missing;
}

std::vector<control::VerbOutcome> Supervisor::states(
    const std::vector<ProcessId>& processes) const {
    std::vector<control::VerbOutcome> outcomes;
    for (const ProcessId id : processes) {
        const std::string held = fleet_.held_by(id);
        outcomes.push_back(
            {parts_[id.value()].id, true, core::state_name(fleet_.machine(id).state()), held});
    }
    return outcomes;
}

// Long enough for the slowest honest answer: all stop steps, and then a whole start.
Duration Supervisor::patience_for(const std::vector<ProcessId>& processes) const {
    Duration patience = 10s;
    for (const ProcessId id : processes) {
        const core::Policy& policy = fleet_.machine(id).policy();
        Duration needs = 10s + policy.start_timeout + policy.drain;
        for (const core::StopStep& step : policy.stop) needs += step.wait;
        patience = std::max(patience, needs);
    }
    return patience;
}

std::optional<control::ApiError> Supervisor::act(control::Verb verb,
                                                 const std::string& selector,
                                                 bool wait,
                                                 const control::VerbDone& done) {
    std::vector<ProcessId> processes = selected(selector, fleet_, parts_, settings_.config.groups);
    if (processes.empty()) return no_such_process(selector);
    if (stage_ != Stage::running && verb != control::Verb::stop) {
        return control::ApiError{409, "shutting_down",
                                 "the supervisor is shutting down and starts nothing", ""};
    }
    switch (verb) {
        case control::Verb::roll:
            return roll(processes, wait, done);
        case control::Verb::quiet:
        case control::Verb::resume: {
            std::vector<control::VerbOutcome> outcomes;
            outcomes.reserve(processes.size());
            for (const ProcessId id : processes)
                outcomes.push_back(quiet(id, verb == control::Verb::quiet));
            done(std::move(outcomes));
            return std::nullopt;
        }
        case control::Verb::stop:
        case control::Verb::start:
        case control::Verb::restart:
            break;
    }
    const Duration patience = patience_for(processes);
    if (wait) waits_.add(verb, processes, patience, done);
    const std::vector<ProcessId> asked = processes;
    if (verb == control::Verb::stop)  // the last to start is the first to stop
        std::reverse(processes.begin(), processes.end());
    for (const ProcessId id : processes) {
        switch (verb) {
            case control::Verb::start:
                post({id, core::StartWanted{}});
                break;
            case control::Verb::stop:
                post({id, core::StopWanted{}});
                break;
            case control::Verb::restart:
                post({id, core::RestartWanted{}});
                break;
            case control::Verb::roll:
            case control::Verb::quiet:
            case control::Verb::resume:
                break;
        }
    }
    if (wait)
        waits_.recheck();
    else
        done(states(asked));
    return std::nullopt;
}

std::optional<control::ApiError> Supervisor::signal(const std::string& selector,
                                                    int number,
                                                    const control::VerbDone& done) {
    const std::vector<ProcessId> processes =
        selected(selector, fleet_, parts_, settings_.config.groups);
    if (processes.empty()) return no_such_process(selector);
    std::vector<control::VerbOutcome> outcomes = states(processes);
    for (std::size_t i = 0; i < processes.size(); ++i) {
        control::VerbOutcome& outcome = outcomes[i];
        const auto sent = executor_.send(processes[i], SignalNumber{number});
        outcome.ok = sent.ok();
        outcome.message = sent ? "sent " + signal_name(number) : sent.error().message();
        if (sent)
            log_.info("signal-sent",
                      {{"process", outcome.process}, {"signal", signal_name(number)}});
    }
    done(std::move(outcomes));
    return std::nullopt;
}

void Supervisor::metrics(const std::function<void(const control::MetricsView&)>& tell) {
    const auto with_usage = [this, tell] {
        const control::SupervisorView supervisor = view();
        control::MetricsView all = metrics_.view(supervisor);
        all.dropped_lines = log_.dropped_lines();
        if (housekeeping_) all.stale_removed = housekeeping_->stale_removed();
        if (queues_) all.queues = queues_->view();
        all.each_process = [this](const auto& visit) { each_process(visit); };
        tell(all);
    };
    const auto sample = [this, with_usage] { metrics_.sample(parts_, with_usage); };
    if (!queues_ || registrar_->is_away()) return sample();
    queues_->refresh(settings_.config.redis->queue_look(), sample);
}

std::optional<control::ApiError> Supervisor::why(
    const std::string& id, const std::function<void(const control::WhyView&)>& tell) {
    const auto found = std::find_if(parts_.begin(), parts_.end(),
                                    [&](const ProcessParts& parts) { return parts.id == id; });
    if (found == parts_.end()) return no_such_process(id);
    each_process([&](const control::ProcessView& process) {
        if (process.id != id) return;
        control::WhyView view{process, found->trouble, {}};
        if (autoscaler_)
            if (const auto program = fleet_.program_called(std::string(process.program)))
                view.size = autoscaler_->why(*program);
        if (found->deaths) {
            const auto& all = found->deaths->all();
            for (auto death = all.rbegin(); death != all.rend(); ++death)
                view.deaths.push_back(&*death);
        }
        tell(view);
    });
    return std::nullopt;
}

}  // namespace muster::daemon
