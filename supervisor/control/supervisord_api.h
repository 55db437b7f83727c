#pragma once
// supervisord's XML-RPC methods (4.2.5; API version 3.0) on our verbs, so that what speaks to
// supervisord speaks to us. Names: a program's processes are a group of its name.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "control/api.h"
#include "control/http_server.h"
#include "control/supervisord_configs.h"
#include "control/supervisord_faults.h"
#include "control/supervisord_logs.h"
#include "control/supervisord_processes.h"
#include "control/xmlrpc.h"

namespace muster::control {

// What the methods need beside the verbs that every protocol has.
struct SupervisordBackend {
    // Why its command could not be started if it were tried now: not found (20) or not executable
    // (21); nothing where it could.
    std::function<std::optional<Fault>(const std::string& process)> launchable;
    SupervisordLogsBackend logs = {};
    // Stops everything, reads the file again and starts anew; or why not.
    std::function<void(std::function<void(std::optional<Fault>)>)> restart = {};
    // Each process of what was read last, whether it is active or not.
    std::function<void(const std::function<void(const ConfigView&)>&)> each_config = {};
    // What sendRemoteCommEvent brings; nobody listens where it is empty.
    std::function<void(const std::string& type, const std::string& data)> remote_event = {};
};

class SupervisordApi {
public:
    using Done = std::function<void(xmlrpc::Value)>;
    using Failed = std::function<void(Fault)>;

    SupervisordApi(Backend backend, SupervisordBackend more);

    // POST /RPC2. Answers once, at once or when the method's wait is over. The object outlives
    // its open calls.
    void handle(const Request& request, const HttpServer::Respond& respond);
    // GET /logtail/NAME[/CHANNEL] and /mainlogtail.
    void stream(const Request& request, const HttpServer::Respond& respond) const {
        logs_.stream(request, respond);
    }

private:
    struct Answer {  // exactly one of both is called
        Done done;
        Failed failed;
    };
    using Params = std::vector<xmlrpc::Value>;
    struct Method;
    static const std::vector<Method>& methods();

    void call(const xmlrpc::Call& call, Answer answer);
    void multicall(const Params& params, const Answer& answer);
    void start_one(const std::string& name, bool wait, const Answer& answer);
    void stop_one(const std::string& name, bool wait, const Answer& answer);
    void signal_one(const std::string& name, const xmlrpc::Value& signal, const Answer& answer);

    enum class LogCall : std::uint8_t { read, tail };
    void log_call(LogCall call, bool is_stderr, const Params& params, const Answer& answer);
    void clear_all_logs(const Answer& answer);
    void send_stdin(const std::string& name, const xmlrpc::Value& chars, const Answer& answer);
    void restart(const Answer& answer);

    void reload_config(const Answer& answer);
    void change_group(const std::function<std::optional<ApiError>(const std::string&)>& change,
                      const std::string& group,
                      const Fault& conflict,
                      const Answer& answer);

    // Of many processes, those that the call applies to; answered in the order in which they end.
    struct Many {
        bool (*applies)(const SupervisordState& state);
        std::function<void(const std::string& name, const Answer& answer)> one;
    };
    Many starting(bool wait);
    Many stopping(bool wait);
    Many signalling(const xmlrpc::Value& signal);
    void many(const Many& what, const std::string& group, const Answer& answer);  // "" = all
    void each_of_group(const Many& what, const std::string& group, const Answer& answer);

    Backend backend_;
    SupervisordBackend more_;
    SupervisordLogs logs_;
};

}  // namespace muster::control
