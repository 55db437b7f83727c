#include "control/supervisord_api.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "base/text.h"
#include "control/supervisord_multicall.h"
#include "control/supervisord_processes.h"

namespace muster::control {

namespace {

using xmlrpc::Array;
using xmlrpc::Struct;
using xmlrpc::Value;

std::optional<std::int32_t> whole_number(const Value& value) {
    if (const auto* number = value.as<std::int32_t>()) return *number;
    const auto* text = value.as<std::string>();
    std::int32_t number = 0;
    if (text == nullptr || text->empty()) return std::nullopt;
    const auto [end, code] = std::from_chars(text->data(), text->data() + text->size(), number);
    if (code != std::errc{} || end != text->data() + text->size()) return std::nullopt;
    return number;
}

constexpr std::string_view remote_event = "supervisor.sendRemoteCommEvent";

Value result_of(const Known& process, int status, std::string_view text) {
    return Struct{{"name", process.id},
                  {"group", process.group},
                  {"status", std::int32_t{status}},
                  {"description", text}};
}

Fault start_fault(const std::string& name, std::string_view state) {
    if (state == "BACKOFF" || state == "FATAL")
        return make_fault(fault::spawn_error, "SPAWN_ERROR", name);
    return make_fault(fault::abnormal_termination, "ABNORMAL_TERMINATION", name);
}

}  // namespace

// `params` are checked against `types` before `run` is called: s text, i number, b anything, and in
// capitals what may be left out.
struct SupervisordApi::Method {
    std::string_view name;
    std::string_view types;
    std::string_view signature;  // result first, as methodSignature tells it
    std::string_view help;
    void (*run)(SupervisordApi& api, const Params& params, const Answer& answer);
};

SupervisordApi::SupervisordApi(Backend backend, SupervisordBackend more)
    : backend_(std::move(backend)), more_(std::move(more)), logs_(backend_, more_.logs) {}

void SupervisordApi::handle(const Request& request, const HttpServer::Respond& respond) {
    if (request.method != "POST")
        return respond(
            {.status = 400, .body = "XML-RPC calls are POSTed\n", .content_type = "text/plain"});
    const auto call = xmlrpc::parse_call(request.body);
    if (!call)
        return respond({.status = 400,
                        .body = call.error().message() + "\n",
                        .content_type = "text/plain; charset=utf-8"});
    this->call(*call, {[respond](const Value& value) {
                           respond({.body = xmlrpc::response(value), .content_type = "text/xml"});
                       },
                       [respond](const Fault& fault) {
                           respond({.body = xmlrpc::fault(fault.code, fault.text),
                                    .content_type = "text/xml"});
                       }});
}

void SupervisordApi::call(const xmlrpc::Call& call, Answer answer) {
    const auto& all = methods();
    const auto method = std::find_if(all.begin(), all.end(),
                                     [&](const Method& each) { return each.name == call.method; });
    if (method == all.end())
        return answer.failed(make_fault(fault::unknown_method, "UNKNOWN_METHOD"));
    const auto wrong = [&] {
        answer.failed(make_fault(fault::incorrect_parameters, "INCORRECT_PARAMETERS"));
    };
    const auto needed = static_cast<std::size_t>(
        std::count_if(method->types.begin(), method->types.end(), [](char c) { return c >= 'a'; }));
    if (call.params.size() < needed || call.params.size() > method->types.size()) return wrong();
    for (std::size_t i = 0; i < call.params.size(); ++i) {
        const char type = method->types[i];
        if (type == 's' && call.params[i].as<std::string>() == nullptr) return wrong();
        if (type == 'i' && !whole_number(call.params[i])) return wrong();
    }
    // sendRemoteCommEvent alone does not ask.
    if (call.method.starts_with("supervisor.") && call.method != remote_event &&
        backend_.supervisor().state != "running")
        return answer.failed(make_fault(fault::shutdown_state, "SHUTDOWN_STATE"));
    method->run(*this, call.params, answer);
}

namespace {

const std::string& text_at(const std::vector<Value>& params, std::size_t i) {
    return *params[i].as<std::string>();
}

bool wait_at(const std::vector<Value>& params, std::size_t i) {
    return params.size() <= i || params[i].is_true();
}

}  // namespace

// ── processes ──────────────────────────────────────────────────────────────────────────────────

void SupervisordApi::start_one(const std::string& name, bool wait, const Answer& answer) {
    const auto process = find(backend_, name);
    if (!process) return answer.failed(bad_name(name));
    if (auto why = more_.launchable(process->id)) return answer.failed(std::move(*why));
    if (process->state->is_running)
        return answer.failed(make_fault(fault::already_started, "ALREADY_STARTED", name));
    const auto refused = backend_.act(
        Verb::start, process->id, wait,
        [name, answer, wait](const std::vector<VerbOutcome>& outcomes) {
            const VerbOutcome& outcome = outcomes.front();
            const bool has_failed = outcome.state == "BACKOFF" || outcome.state == "FATAL";
            if (wait ? outcome.ok : !has_failed) return answer.done(true);
            answer.failed(start_fault(name, outcome.state));
        });
    if (refused) answer.failed(make_fault(fault::failed, "FAILED", refused->message));
}

void SupervisordApi::stop_one(const std::string& name, bool wait, const Answer& answer) {
    const auto process = find(backend_, name);
    if (!process) return answer.failed(bad_name(name));
    if (!process->state->is_running)
        return answer.failed(make_fault(fault::not_running, "NOT_RUNNING", name));
    const auto refused = backend_.act(
        Verb::stop, process->id, wait, [answer, wait](const std::vector<VerbOutcome>& outcomes) {
            if (!wait || outcomes.front().ok) return answer.done(true);
            answer.failed(make_fault(fault::failed, "FAILED", outcomes.front().message));
        });
    if (refused) answer.failed(make_fault(fault::failed, "FAILED", refused->message));
}

void SupervisordApi::signal_one(const std::string& name,
                                const Value& signal,
                                const Answer& answer) {
    const auto process = find(backend_, name);
    if (!process) return answer.failed(bad_name(name));
    const auto* text = signal.as<std::string>();
    const std::string shown =
        text != nullptr ? *text : std::to_string(whole_number(signal).value_or(0));
    std::string upper = shown;
    for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    const int number = signal_by_name(upper);
    if (number == 0) return answer.failed(make_fault(fault::bad_signal, "BAD_SIGNAL", shown));
    if (!process->state->is_signallable)
        return answer.failed(make_fault(fault::not_running, "NOT_RUNNING", name));
    const auto refused = backend_.signal(
        process->id, number, [answer, name](const std::vector<VerbOutcome>& outcomes) {
            if (outcomes.front().ok) return answer.done(true);
            answer.failed(make_fault(fault::not_running, "NOT_RUNNING", name));
        });
    if (refused) answer.failed(make_fault(fault::failed, "FAILED", refused->message));
}

void SupervisordApi::many(const Many& what, const std::string& group, const Answer& answer) {
    struct Gathered {
        Array results;
        std::size_t open = 1;  // our own, until all are asked
        Answer answer;
        void one_less() {
            if (--open == 0) answer.done(std::move(results));
        }
    };
    auto gathered = std::make_shared<Gathered>();
    gathered->answer = answer;
    for (const Known& process : all_known(backend_)) {
        if (!group.empty() && process.group != group) continue;
        if (!what.applies(*process.state)) continue;
        ++gathered->open;
        const Answer one{
            [gathered, process](const Value&) {
                gathered->results.push_back(result_of(process, fault::success, "OK"));
                gathered->one_less();
            },
            [gathered, process](const Fault& fault) {
                gathered->results.push_back(result_of(process, fault.code, fault.text));
                gathered->one_less();
            }};
        const std::string name = process.group + ":" + process.id;
        what.one(name, one);
    }
    gathered->one_less();
}

void SupervisordApi::each_of_group(const Many& what,
                                   const std::string& group,
                                   const Answer& answer) {
    if (!is_group(backend_, group)) return answer.failed(bad_name(group));
    many(what, group, answer);
}

SupervisordApi::Many SupervisordApi::starting(bool wait) {
    return {
        [](const SupervisordState& state) { return !state.is_running; },
        [this, wait](const std::string& name, const Answer& one) { start_one(name, wait, one); }};
}

SupervisordApi::Many SupervisordApi::stopping(bool wait) {
    return {
        [](const SupervisordState& state) { return state.is_running; },
        [this, wait](const std::string& name, const Answer& one) { stop_one(name, wait, one); }};
}

SupervisordApi::Many SupervisordApi::signalling(const xmlrpc::Value& signal) {
    return {[](const SupervisordState& state) { return state.is_signallable; },
            [this, signal](const std::string& name, const Answer& one) {
                signal_one(name, signal, one);
            }};
}

// ── logs ───────────────────────────────────────────────────────────────────────────────────────

void SupervisordApi::log_call(LogCall call,
                              bool is_stderr,
                              const Params& params,
                              const Answer& answer) {
    const SupervisordLogs::Wanted wanted{text_at(params, 0), is_stderr, *whole_number(params[1]),
                                         *whole_number(params[2])};
    if (wanted.name.empty()) return answer.failed(bad_name(""));
    if (call == LogCall::read)
        logs_.read(wanted, answer.done, answer.failed);
    else
        logs_.tail(wanted, answer.done, answer.failed);
}

void SupervisordApi::clear_all_logs(const Answer& answer) {
    const Many clearing{[](const SupervisordState&) { return true; },
                        [this](const std::string& name, const Answer& one) {
                            logs_.clear(name, one.done, one.failed);
                        }};
    many(clearing, "", answer);
}

// What is written to a child's stdin goes nowhere: as if the child had closed it.
void SupervisordApi::send_stdin(const std::string& name, const Value& chars, const Answer& answer) {
    if (chars.as<std::string>() == nullptr)
        return answer.failed(make_fault(fault::incorrect_parameters, "INCORRECT_PARAMETERS",
                                        std::to_string(whole_number(chars).value_or(0))));
    const auto process = find(backend_, name);
    if (!process) return answer.failed(bad_name(name));
    if (process->state->name != "RUNNING" && process->state->name != "STARTING")
        return answer.failed(make_fault(fault::not_running, "NOT_RUNNING", name));
    answer.failed(make_fault(fault::no_file, "NO_FILE", name));
}

void SupervisordApi::restart(const Answer& answer) {
    more_.restart([answer](const std::optional<Fault>& fault) {
        fault ? answer.failed(*fault) : answer.done(true);
    });
}

// ── the file ───────────────────────────────────────────────────────────────────────────────────

// Doubly nested, as there.
void SupervisordApi::reload_config(const Answer& answer) {
    backend_.reread([answer](const std::variant<ComparedGroups, ApiError>& compared) {
        if (const auto* error = std::get_if<ApiError>(&compared))
            return answer.failed(make_fault(fault::cant_reread, "CANT_REREAD", error->message));
        const auto list = [](const std::vector<std::string>& names) {
            return Value(Array(names.begin(), names.end()));
        };
        const auto& groups = std::get<ComparedGroups>(compared);
        answer.done(
            Array{Value(Array{list(groups.added), list(groups.changed), list(groups.removed)})});
    });
}

void SupervisordApi::change_group(
    const std::function<std::optional<ApiError>(const std::string&)>& change,
    const std::string& group,
    const Fault& conflict,
    const Answer& answer) {
    const auto refused = change(group);
    if (!refused) return answer.done(true);
    if (refused->status == 404) return answer.failed(bad_name(group));
    if (refused->status == 409) return answer.failed(conflict);
    answer.failed(make_fault(fault::failed, "FAILED", refused->message));
}

void SupervisordApi::multicall(const Params& params, const Answer& answer) {
    const auto* calls = params[0].as<Array>();
    if (calls == nullptr)
        return answer.failed(make_fault(fault::incorrect_parameters, "INCORRECT_PARAMETERS"));
    run_one_by_one(
        *calls,
        [this](const xmlrpc::Call& one, Done done, Failed failed) {
            call(one, {std::move(done), std::move(failed)});
        },
        answer.done);
}

// ── the table ──────────────────────────────────────────────────────────────────────────────────

// NOLINTNEXTLINE(readability-function-cognitive-complexity): a table; each of its rows is simple
const std::vector<SupervisordApi::Method>& SupervisordApi::methods() {
    using Api = SupervisordApi;
    // NOLINTNEXTLINE(readability-function-cognitive-complexity): likewise
    static const std::vector<Method> all = [] {
        std::vector<Method> table{
            {"supervisor.getAPIVersion", "", "string", "The version of this API.",
             [](Api&, const Params&, const Answer& a) { a.done("3.0"); }},
            {"supervisor.getVersion", "", "string", "The version of this API.",
             [](Api&, const Params&, const Answer& a) { a.done("3.0"); }},
            // Clients compare it: the version of supervisord whose API this is.
            {"supervisor.getSupervisorVersion", "", "string",
             "The version of supervisord that this server speaks like.",
             [](Api&, const Params&, const Answer& a) { a.done("4.2.5"); }},
            {"supervisor.getIdentification", "", "string", "The supervisor's name.",
             [](Api& api, const Params&, const Answer& a) {
                 a.done(api.backend_.supervisor().service);
             }},
            {"supervisor.getState", "", "struct", "The supervisor's state.",
             [](Api&, const Params&, const Answer& a) {
                 a.done(Struct{{"statecode", std::int32_t{1}}, {"statename", "RUNNING"}});
             }},
            {"supervisor.getPID", "", "int", "The supervisor's pid.",
             [](Api& api, const Params&, const Answer& a) {
                 a.done(api.backend_.supervisor().pid);
             }},
            {remote_event, "ss", "boolean string string", "Tells event listeners.",
             [](Api& api, const Params& p, const Answer& a) {
                 if (api.more_.remote_event)
                     api.more_.remote_event(xmlrpc::clean_text(text_at(p, 0)),
                                            xmlrpc::clean_text(text_at(p, 1)));
                 a.done(true);
             }},
            {"supervisor.shutdown", "", "boolean", "Stops everything and ends.",
             [](Api& api, const Params&, const Answer& a) {
                 a.done(true);
                 api.backend_.shutdown();
             }},
            {"supervisor.restart", "", "boolean", "Stops everything and starts anew.",
             [](Api& api, const Params&, const Answer& a) { api.restart(a); }},
            {"supervisor.readLog", "ii", "string int int", "A part of the supervisor's own log.",
             [](Api& api, const Params& p, const Answer& a) {
                 api.logs_.read({"", false, *whole_number(p[0]), *whole_number(p[1])}, a.done,
                                a.failed);
             }},
            {"supervisor.readMainLog", "ii", "string int int",
             "A part of the supervisor's own log.",
             [](Api& api, const Params& p, const Answer& a) {
                 api.logs_.read({"", false, *whole_number(p[0]), *whole_number(p[1])}, a.done,
                                a.failed);
             }},
            {"supervisor.clearLog", "", "boolean", "Empties the supervisor's own log.",
             [](Api& api, const Params&, const Answer& a) {
                 api.logs_.clear("", a.done, a.failed);
             }},
            {"supervisor.readProcessLog", "sii", "string string int int", "A part of its stdout.",
             [](Api& api, const Params& p, const Answer& a) {
                 api.log_call(LogCall::read, false, p, a);
             }},
            {"supervisor.readProcessStdoutLog", "sii", "string string int int",
             "A part of its stdout.",
             [](Api& api, const Params& p, const Answer& a) {
                 api.log_call(LogCall::read, false, p, a);
             }},
            {"supervisor.readProcessStderrLog", "sii", "string string int int",
             "A part of its stderr.",
             [](Api& api, const Params& p, const Answer& a) {
                 api.log_call(LogCall::read, true, p, a);
             }},
            {"supervisor.tailProcessLog", "sii", "array string int int",
             "The end of its stdout, the log's size, and whether there was more.",
             [](Api& api, const Params& p, const Answer& a) {
                 api.log_call(LogCall::tail, false, p, a);
             }},
            {"supervisor.tailProcessStdoutLog", "sii", "array string int int",
             "The end of its stdout, the log's size, and whether there was more.",
             [](Api& api, const Params& p, const Answer& a) {
                 api.log_call(LogCall::tail, false, p, a);
             }},
            {"supervisor.tailProcessStderrLog", "sii", "array string int int",
             "The end of its stderr, the log's size, and whether there was more.",
             [](Api& api, const Params& p, const Answer& a) {
                 api.log_call(LogCall::tail, true, p, a);
             }},
            {"supervisor.clearProcessLog", "s", "boolean string", "Empties both logs of a process.",
             [](Api& api, const Params& p, const Answer& a) {
                 if (text_at(p, 0).empty()) return a.failed(bad_name(""));
                 api.logs_.clear(text_at(p, 0), a.done, a.failed);
             }},
            {"supervisor.clearProcessLogs", "s", "boolean string",
             "Empties both logs of a process.",
             [](Api& api, const Params& p, const Answer& a) {
                 if (text_at(p, 0).empty()) return a.failed(bad_name(""));
                 api.logs_.clear(text_at(p, 0), a.done, a.failed);
             }},
            {"supervisor.clearAllProcessLogs", "", "array", "Empties the logs of all processes.",
             [](Api& api, const Params&, const Answer& a) { api.clear_all_logs(a); }},
            {"supervisor.sendProcessStdin", "sb", "boolean string string",
             "Fails: a program's stdin is /dev/null here.",
             [](Api& api, const Params& p, const Answer& a) {
                 api.send_stdin(text_at(p, 0), p[1], a);
             }},
            {"supervisor.getAllConfigInfo", "", "array",
             "The settings of all processes of the file that was read last.",
             [](Api& api, const Params&, const Answer& a) {
                 a.done(config_infos(api.more_.each_config));
             }},
            {"supervisor.reloadConfig", "", "array",
             "Reads the file: which groups it adds, changes and removes. Applies nothing.",
             [](Api& api, const Params&, const Answer& a) { api.reload_config(a); }},
            {"supervisor.addProcessGroup", "s", "boolean string",
             "Activates a group of the file that was read last.",
             [](Api& api, const Params& p, const Answer& a) {
                 api.change_group(api.backend_.add_group, text_at(p, 0),
                                  make_fault(fault::already_added, "ALREADY_ADDED", text_at(p, 0)),
                                  a);
             }},
            {"supervisor.removeProcessGroup", "s", "boolean string",
             "Takes away a group that is stopped.",
             [](Api& api, const Params& p, const Answer& a) {
                 api.change_group(api.backend_.remove_group, text_at(p, 0),
                                  make_fault(fault::still_running, "STILL_RUNNING", text_at(p, 0)),
                                  a);
             }},
            {"supervisor.getProcessInfo", "s", "struct string", "What one process is doing.",
             [](Api& api, const Params& p, const Answer& a) {
                 const NameSpec spec = name_spec(text_at(p, 0));
                 std::optional<Struct> info;
                 api.backend_.each_process([&](const ProcessView& process) {
                     if (group_of(process) == spec.group && process.id == spec.process)
                         info = process_info(process);
                 });
                 if (!info) return a.failed(bad_name(text_at(p, 0)));
                 a.done(std::move(*info));
             }},
            {"supervisor.getAllProcessInfo", "", "array", "What all processes are doing.",
             [](Api& api, const Params&, const Answer& a) {
                 std::vector<std::pair<std::pair<std::string, std::string>, Struct>> sorted;
                 api.backend_.each_process([&](const ProcessView& process) {
                     sorted.emplace_back(std::pair(group_of(process), process.id),
                                         process_info(process));
                 });
                 std::stable_sort(
                     sorted.begin(), sorted.end(),
                     [](const auto& one, const auto& two) { return one.first < two.first; });
                 Array infos;
                 infos.reserve(sorted.size());
                 for (auto& [name, info] : sorted) infos.emplace_back(std::move(info));
                 a.done(std::move(infos));
             }},
            {"supervisor.startProcess", "sB", "boolean string boolean", "Starts a process.",
             [](Api& api, const Params& p, const Answer& a) {
                 const NameSpec spec = name_spec(text_at(p, 0));
                 if (spec.process.empty())
                     return api.each_of_group(api.starting(wait_at(p, 1)), spec.group, a);
                 api.start_one(text_at(p, 0), wait_at(p, 1), a);
             }},
            {"supervisor.startProcessGroup", "sB", "array string boolean", "Starts a group.",
             [](Api& api, const Params& p, const Answer& a) {
                 api.each_of_group(api.starting(wait_at(p, 1)), text_at(p, 0), a);
             }},
            {"supervisor.startAllProcesses", "B", "array boolean", "Starts all processes.",
             [](Api& api, const Params& p, const Answer& a) {
                 api.many(api.starting(wait_at(p, 0)), "", a);
             }},
            {"supervisor.stopProcess", "sB", "boolean string boolean", "Stops a process.",
             [](Api& api, const Params& p, const Answer& a) {
                 const NameSpec spec = name_spec(text_at(p, 0));
                 if (spec.process.empty())
                     return api.each_of_group(api.stopping(wait_at(p, 1)), spec.group, a);
                 api.stop_one(text_at(p, 0), wait_at(p, 1), a);
             }},
            {"supervisor.stopProcessGroup", "sB", "array string boolean", "Stops a group.",
             [](Api& api, const Params& p, const Answer& a) {
                 api.each_of_group(api.stopping(wait_at(p, 1)), text_at(p, 0), a);
             }},
            {"supervisor.stopAllProcesses", "B", "array boolean", "Stops all processes.",
             [](Api& api, const Params& p, const Answer& a) {
                 api.many(api.stopping(wait_at(p, 0)), "", a);
             }},
            {"supervisor.signalProcess", "sb", "boolean string string", "Signals a process.",
             [](Api& api, const Params& p, const Answer& a) {
                 const NameSpec spec = name_spec(text_at(p, 0));
                 if (!spec.process.empty()) return api.signal_one(text_at(p, 0), p[1], a);
                 api.each_of_group(api.signalling(p[1]), spec.group, a);
             }},
            {"supervisor.signalProcessGroup", "sb", "array string string", "Signals a group.",
             [](Api& api, const Params& p, const Answer& a) {
                 api.each_of_group(api.signalling(p[1]), text_at(p, 0), a);
             }},
            {"supervisor.signalAllProcesses", "b", "array string", "Signals all processes.",
             [](Api& api, const Params& p, const Answer& a) {
                 api.many(api.signalling(p[0]), "", a);
             }},
            {"system.listMethods", "", "array", "The names of all methods.",
             [](Api&, const Params&, const Answer& a) {
                 Array names;
                 for (const Method& each : methods()) names.emplace_back(each.name);
                 a.done(std::move(names));
             }},
            {"system.methodHelp", "s", "string string", "What a method does.",
             [](Api&, const Params& p, const Answer& a) {
                 for (const Method& each : methods()) {
                     if (each.name == text_at(p, 0)) return a.done(each.help);
                 }
                 a.failed(make_fault(fault::signature_unsupported, "SIGNATURE_UNSUPPORTED"));
             }},
            {"system.methodSignature", "s", "array string", "A method's types, the result first.",
             [](Api&, const Params& p, const Answer& a) {
                 for (const Method& each : methods()) {
                     if (each.name != text_at(p, 0)) continue;
                     Array types;
                     for (const std::string& type : split(each.signature, ' '))
                         types.emplace_back(type);
                     return a.done(std::move(types));
                 }
                 a.failed(make_fault(fault::signature_unsupported, "SIGNATURE_UNSUPPORTED"));
             }},
            {"system.multicall", "b", "array array", "Several calls, one after the other.",
             [](Api& api, const Params& p, const Answer& a) { api.multicall(p, a); }},
        };
        std::sort(table.begin(), table.end(),
                  [](const Method& one, const Method& two) { return one.name < two.name; });
        return table;
    }();
    return all;
}

}  // namespace muster::control
