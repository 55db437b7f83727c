#pragma once
// Owns everything and turns it into one line of events: facts are posted, drained in one place, and
// never re-entered.

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "base/time.h"
#include "config/config.h"
#include "config/diff.h"
#include "control/api.h"
#include "control/control_socket.h"
#include "control/http_server.h"
#include "control/supervisord_api.h"
#include "core/fleet.h"
#include "daemon/autoscaler.h"
#include "daemon/executor.h"
#include "daemon/gathered.h"
#include "daemon/housekeeping.h"
#include "daemon/listeners.h"
#include "daemon/memory_watch.h"
#include "daemon/metrics.h"
#include "daemon/process_parts.h"
#include "daemon/programs.h"
#include "daemon/queues.h"
#include "daemon/registrar.h"
#include "daemon/roll_waits.h"
#include "daemon/service_manager.h"
#include "daemon/waits.h"
#include "logs/event_log.h"
#include "logs/output_writer.h"
#include "loop/lifeline.h"
#include "loop/loop.h"
#include "loop/signals.h"
#include "loop/timer.h"

namespace muster::daemon {

struct Settings {
    config::Config config;
    std::string config_path;                  // "" = from the command line
    std::optional<std::string> control = {};  // asked for on the command line: before the file's
    bool is_plain = false;                    // `run -- CMD`: one child, which also gets our stdin
};

// The file that has a stream, or will have it; "" = none, or not known before its first life.
std::string_view log_path(const ProcessParts& parts,
                          const config::ProgramSettings& program,
                          bool is_stderr);
control::ApiError no_such_process(const std::string& selector);
control::ApiError shutting_down();

class Supervisor {
public:
    // What is needed of the settings is copied: they may go.
    Supervisor(const Settings& loaded, Tools tools);
    Supervisor(const Supervisor&) = delete;
    Supervisor& operator=(const Supervisor&) = delete;
    ~Supervisor();

    // Everything that can fail before the first child: the control socket, users, addresses.
    Outcome open();
    int run();  // until the end; the exit status
    // The process is to begin anew, with its arguments.
    [[nodiscard]] bool is_to_restart() const { return restarts_; }

private:
    enum class Stage : std::uint8_t { running, stopping, paying, over };

    void make_parts();
    void note_groups();
    void note_listeners();
    void tell_listeners(const core::Transition& transition);
    [[nodiscard]] const std::string& shown_group(ProgramId program) const;
    [[nodiscard]] std::vector<MemoryWatch::Watched> limited() const;
    void too_big(const MemoryWatch::Watched& who, std::uint64_t bytes, MemoryWatch::Excess excess);
    void forget(ProcessId process);
    void post(core::Event event);
    void drain();
    void carry_out(const core::Order& order);
    void tell(const core::Transition& transition);
    void watch(ProcessId process, Incarnation who);
    void release_name(ProcessId process, Incarnation who);
    void claim_name(ProcessId process, Incarnation who);
    [[nodiscard]] registry::Claim claim_of(ProcessId process) const;
    [[nodiscard]] bool may_be_redis(ProcessId process) const;
    [[nodiscard]] core::Moment moment();

    void signalled(int number);
    bool passed_on(int number);
    void deadline();
    void begin_shutdown(bool is_fast, const char* why);
    void enter_stopping(const char* why);
    void hasten();
    void finish(int status);
    [[nodiscard]] int command_status() const;
    void leave();
    void close();

    void redis_changed(bool is_away);
    void open_gate();
    void gate_is_late();
    void judged(ProcessId process, Incarnation who, const std::string& why);
    void child_has_ended(ProcessId process);
    [[nodiscard]] registry::InstanceFacts facts() const;
    [[nodiscard]] LastSteps steps_of(const std::string& program) const;
    [[nodiscard]] registry::RollEntry roll_entry(ProcessId process, Incarnation who) const;
    void registered(const registry::Sought& sought, const registry::Registration& registration);
    void released(const registry::Release& release, const registry::Released& released);

    Outcome open_registry();
    Outcome open_control();
    Outcome open_http(const control::HttpServer::Handler& handler);
    control::Backend backend();
    control::RegistryBackend registry_backend();
    [[nodiscard]] std::unique_ptr<Housekeeping> made_housekeeping();
    [[nodiscard]] std::unordered_map<std::string, std::string> living_names() const;
    [[nodiscard]] bool is_settling() const;
    void each_process(const std::function<void(const control::ProcessView&)>& visit);
    void visit_program(ProgramId program,
                       const std::function<void(const control::ProcessView&)>& visit);
    [[nodiscard]] control::SupervisorView view() const;
    [[nodiscard]] std::vector<std::string> not_ready() const;
    std::optional<control::ApiError> act(control::Verb verb,
                                         const std::string& selector,
                                         bool wait,
                                         const control::VerbDone& done);
    std::optional<control::ApiError> signal(const std::string& selector,
                                            int number,
                                            const control::VerbDone& done);
    std::optional<control::ApiError> logs(const control::LogQuery& query,
                                          const control::HttpServer::Respond& respond);
    std::optional<control::ApiError> roll(const std::vector<ProcessId>& processes,
                                          bool wait,
                                          const control::VerbDone& done);
    [[nodiscard]] control::VerbOutcome quiet(ProcessId process, bool is_quiet);
    void quiet_all(bool is_quiet);
    [[nodiscard]] Duration patience_for(const std::vector<ProcessId>& processes) const;
    [[nodiscard]] Duration roll_patience(const std::vector<ProcessId>& processes) const;

    struct FileRead;
    using FileDone =
        std::function<void(std::variant<std::shared_ptr<FileRead>, control::ApiError>)>;
    void read_file(FileDone done);
    struct LogPlace;
    [[nodiscard]] LogPlace place_of(const control::LogName& name) const;
    [[nodiscard]] const logs::Tails& tails_of(const control::LogName& name);
    void read_log(const control::LogName& name,
                  const control::ChooseLogSlice& choose,
                  const control::LogRead& done);
    void clear_logs(const std::string& process,
                    const std::function<void(std::optional<control::Fault>)>& done);
    std::shared_ptr<control::BodySource> follow_log(const control::LogName& name);
    control::SupervisordBackend supervisord_backend();
    void each_config(const std::function<void(const control::ConfigView&)>& visit) const;
    void restart(const std::function<void(std::optional<control::Fault>)>& done);

    void begin_reading();
    void have_read(const std::shared_ptr<FileRead>& file);
    void reload(bool dry_run, bool wait, const control::ReloadDone& done);
    void reread(const control::RereadDone& done);
    std::optional<control::ApiError> add_group(const std::string& group);
    std::optional<control::ApiError> remove_group(const std::string& group);
    [[nodiscard]] config::Config running_config() const;
    [[nodiscard]] config::Config last_config() const;
    [[nodiscard]] std::optional<control::ApiError> refusal(const config::Config& wanted) const;
    void apply(const config::Difference& difference,
               FileRead& file,
               bool wait,
               const control::VerbDone& done);
    [[nodiscard]] std::vector<std::string> to_be_put(const config::Difference& difference,
                                                     const config::Config& wanted) const;
    void apply_to(const config::ProgramChange& change,
                  bool wait,
                  const std::shared_ptr<Gathered>& all);
    std::vector<ProgramId> put(const std::vector<std::string>& programs, FileRead& file);
    void keep_old_settings(ProgramId program);

    std::optional<control::ApiError> scale(const std::string& program,
                                           std::uint32_t processes,
                                           bool wait,
                                           const control::VerbDone& done);
    void resize(ProgramId program,
                std::uint32_t processes,
                bool is_numbered,
                bool wait,
                const control::VerbDone& done);
    void resize_now(ProgramId program,
                    std::uint32_t processes,
                    bool is_numbered,
                    const std::vector<ProcessId>& leave_first,
                    bool wait,
                    const control::VerbDone& done);
    void ask_work(ProgramId program,
                  const std::vector<ProcessId>& processes,
                  std::function<void(const std::vector<ProcessId>& asked,
                                     const Result<std::vector<registry::System::Work>>&)> done);
    [[nodiscard]] std::unique_ptr<Autoscaler> made_autoscaler();
    void note_autoscale();
    [[nodiscard]] std::optional<std::uint32_t> wanted_size(ProgramId program) const;
    void count_busy(ProgramId program, std::function<void(Result<std::uint32_t>)> done);
    [[nodiscard]] std::vector<control::ScaledView> scaled() const;
    void choose_leavers(ProgramId program,
                        const std::function<void(std::vector<ProcessId>)>& chosen);

    std::optional<control::ApiError> why(const std::string& id,
                                         const std::function<void(const control::WhyView&)>& tell);
    void metrics(const std::function<void(const control::MetricsView&)>& tell);
    [[nodiscard]] std::vector<control::VerbOutcome> states(
        const std::vector<ProcessId>& processes) const;
    [[nodiscard]] std::optional<control::Fault> launchable(const std::string& id) const;
    void log_status();
    [[nodiscard]] std::string status_line() const;

    Settings settings_;  // without the programs
    Programs programs_;
    std::string host_;
    std::string instance_;
    WallTime started_at_;
    loop::Loop loop_;
    logs::OutputWriter output_;
    logs::EventRing events_;
    logs::Tails own_lines_;  // the last of our log
    logs::EventLog log_;
    core::Fleet fleet_;
    Parts parts_;
    std::vector<ProgramId> order_;                // as the file has them
    std::vector<std::string> group_of_;           // by program id; "" = none
    std::set<std::string> groups_;                // those that were told to listeners
    std::shared_ptr<FileRead> last_read_;         // null: what runs
    std::map<ProgramId, std::uint32_t> resizes_;  // how often: a later one wins
    std::deque<FileDone> readers_;                // the first one's file is being read
    std::unique_ptr<Registrar> registrar_;        // null: no Redis
    std::unique_ptr<Housekeeping> housekeeping_;  // likewise
    std::unique_ptr<Queues> queues_;              // likewise
    std::unique_ptr<Autoscaler> autoscaler_;      // likewise
    Lives lives_;
    Executor executor_;
    Waits waits_;
    RollWaits roll_waits_;
    MemoryWatch memory_;
    Metrics metrics_;
    std::unique_ptr<ServiceManager> service_manager_;  // null: `run -- CMD`
    Listeners listeners_;
    std::unique_ptr<control::SupervisordApi> supervisord_;
    std::unique_ptr<control::HttpServer> server_;
    std::unique_ptr<control::ControlSocket> socket_;    // null: none could be had
    std::unique_ptr<control::HttpServer> http_server_;  // null: not over TCP
    std::unique_ptr<loop::TcpListener> http_listener_;

    std::deque<core::Event> queue_;
    core::Actions actions_;
    bool is_draining_ = false;
    std::uint64_t dice_state_;
    Stage stage_ = Stage::running;
    std::optional<int> finish_with_;  // nothing is left to do but to leave
    int status_ = 0;
    bool restarts_ = false;  // when it is over
    TimePoint shutdown_began_;
    bool is_gate_late_ = false;  // it waits for what survived an earlier life

    loop::Timer deadline_timer_;
    loop::Timer shutdown_timer_;
    loop::Timer gate_timer_;
    loop::Timer startup_timer_;
    loop::Timer end_timer_;
    loop::Signals signals_;
    loop::Lifeline lifeline_;
};

}  // namespace muster::daemon
