#pragma once
// What belongs to one process beside the core's view of it: its child, its names, its checks.

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "base/id.h"
#include "base/time.h"
#include "child/spawn.h"
#include "config/config.h"
#include "control/api.h"
#include "daemon/deaths.h"
#include "daemon/programs.h"
#include "health/tcp.h"
#include "registry/registry.h"

namespace muster::daemon {

struct ProcessParts {
    std::string id;  // "shap" or "shap_00"
    std::uint32_t index = 0;
    std::optional<child::Child> child;
    std::optional<Pid> leader;  // of the current or last incarnation: its family is found by it
    std::string name;           // as given to the current or last incarnation
    std::unique_ptr<registry::Registration>
        registration;  // as the worker wrote it; null = not seen (yet)
    // What the current or last life was made of, where a reload has changed that since: shared by
    // the lives of a program.
    std::shared_ptr<const RunSettings> made_of;
    bool is_quiet = false;
    std::unique_ptr<health::TcpProbe> probe;
    std::unique_ptr<std::string> ill;  // why it is unhealthy; "" = healthy, null = not known
    struct Death {  // until it has been told: by then the replacement may live already
        Pid pid;
        std::string name;
        Duration life;
    };
    std::unique_ptr<Death> death;
    core::Cause backoff_cause = core::Cause::asked;  // of the last BACKOFF
    std::unique_ptr<Deaths> deaths;                  // null: none so far
    // By stream, stdout and stderr: the incarnation whose output has come to its end last.
    std::array<Incarnation, 2> last_closed{Incarnation{0}, Incarnation{0}};
    WallTime spawned_at;
    TimePoint spawned_since;
    std::unique_ptr<control::LastExit> last_exit;
    std::optional<int> spawn_error;  // errno of the last attempt, where it made no child
    // By stream, stdout and stderr: the file that has it; null = it goes elsewhere.
    std::array<std::unique_ptr<std::string>, 2> log_file;
    std::string trouble;  // why the last attempt failed, as a sentence; "" after a success

    [[nodiscard]] const std::string& registered_name() const {
        return registration ? registration->name : name;
    }
};

using Parts = std::deque<ProcessParts>;  // by process id; a reference stays good when more come

}  // namespace muster::daemon
