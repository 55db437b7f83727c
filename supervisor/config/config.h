#pragma once
// The configuration as the rest of the program sees it: plain structs, checked, ${…} expanded, {…}
// not yet filled.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/log.h"
#include "base/time.h"
#include "core/autoscale.h"
#include "core/job_system.h"
#include "core/notices.h"
#include "core/policy.h"

namespace muster::config {

using core::Jobs;
using core::Poison;
using core::RegistryKind;

struct ReadyRegistered {
    friend bool operator==(const ReadyRegistered&, const ReadyRegistered&) = default;
};
struct ReadyAfter {
    Duration delay;
    friend bool operator==(const ReadyAfter&, const ReadyAfter&) = default;
};
struct ReadyTcp {
    std::string address;  // "host:port", or the path of a unix socket
    friend bool operator==(const ReadyTcp&, const ReadyTcp&) = default;
};
using Ready = std::variant<ReadyAfter, ReadyRegistered, ReadyTcp>;

// [program.NAME.health] registry: of programs with a registry, which is always looked at.
struct HealthRegistry {
    Duration missing_after = std::chrono::seconds{60};
    Duration heartbeat_timeout = std::chrono::minutes{10};
    friend bool operator==(const HealthRegistry&, const HealthRegistry&) = default;
};

enum class OutputKind : std::uint8_t { forward, inherit, null, file, as_stdout };
struct Output {
    OutputKind kind = OutputKind::forward;
    std::string path;  // only for file; {…} placeholders allowed
    friend bool operator==(const Output&, const Output&) = default;
};

struct LogRotate {                    // of a file that is an Output
    std::uint64_t size = 10'000'000;  // 0 = never rotated by us
    std::uint32_t keep = 5;           // older ones, beside the file itself
    bool compress = false;
    friend bool operator==(const LogRotate&, const LogRotate&) = default;
};
enum class Overflow : std::uint8_t { wait, drop };  // of output that its target cannot take now

struct Limit {
    int resource;  // RLIMIT_…
    std::uint64_t soft;
    std::uint64_t hard;
    friend bool operator==(const Limit&, const Limit&) = default;
};

// Of all processes of a session together, in bytes; 0 = no limit.
struct Memory {
    std::uint64_t soft = 0;  // replaced when it is idle
    std::uint64_t hard = 0;  // replaced at once
    [[nodiscard]] bool is_limited() const { return soft > 0 || hard > 0; }
    friend bool operator==(const Memory&, const Memory&) = default;
};

// What a home-made worker keeps of itself in Redis. Templates: {name}, {pid} and what stands in a
// command, filled for each life.
struct CustomRegistry {
    std::string set;                            // a set, or a sorted set; "" = none
    std::string member;                         // what stands in it; {name} by default
    std::string key;                            // that worker's own key; "" = none
    std::map<std::string, std::string> fields;  // that the key, a hash, must hold
    friend bool operator==(const CustomRegistry&, const CustomRegistry&) = default;
};

// Its stdin and stdout speak supervisord's event listener protocol.
struct Listener {
    core::NoticeSet events;
    std::uint32_t buffer = 10;  // events that wait for one of its processes to be ready
    friend bool operator==(const Listener&, const Listener&) = default;
};

// Instead of a number of processes: as many as these queues' jobs need.
struct Autoscale : core::AutoscaleRule {
    std::vector<std::string> queues;
    friend bool operator==(const Autoscale&, const Autoscale&) = default;
};

// What programs have in common more often than not.
struct ProgramSettings {
    RegistryKind registry = RegistryKind::none;
    Jobs jobs = Jobs::hand_back;
    std::optional<CustomRegistry> custom;  // just with RegistryKind::custom
    Poison poison;
    HealthRegistry health_registry;
    std::optional<std::uint32_t> processes;  // absent: one, whose id is the program's name
    std::optional<Autoscale> autoscale;      // then `processes` is its min, to begin with
    std::string name_template = "{program}-{host}-{pid}-{time}-{rand}";
    std::string directory;  // "" = muster's own
    std::string user;       // "" = as muster
    std::string group;      // "" = the user's
    std::map<std::string, std::string> environment;
    std::string env_file;  // read at our start and by each reload: secrets can rotate
    std::optional<std::uint32_t> umask;
    std::vector<Limit> limits;
    std::optional<int> nice;
    std::optional<int> oom_score_adj;
    std::vector<core::Dependency> after;
    Ready ready = ReadyAfter{std::chrono::seconds{1}};
    std::uint32_t priority = 999;
    core::Policy policy;
    Memory memory;
    Output stdout_to;
    Output stderr_to;  // only this can be as_stdout
    LogRotate log_rotate;
    Overflow overflow = Overflow::wait;
    std::optional<Listener> listener;
    [[nodiscard]] std::uint32_t most_processes() const {
        return autoscale ? autoscale->max : processes.value_or(1);
    }
    friend bool operator==(const ProgramSettings&, const ProgramSettings&) = default;
};

struct Program : ProgramSettings {
    std::string name;
    std::vector<std::string> command;  // argv, never empty
    friend bool operator==(const Program&, const Program&) = default;
};

struct Group {  // programs that are told things together; a program is in one at most
    std::string name;
    std::vector<std::string> programs;
    std::uint32_t priority = 999;
    friend bool operator==(const Group&, const Group&) = default;
};

struct Tls {
    enum class Verify : std::uint8_t { full, ca, none };
    std::string ca_file;  // "" = the system's
    Verify verify = Verify::full;
    std::string cert_file;  // "" = no certificate of our own
    std::string key_file;   // "" = in cert_file
    friend bool operator==(const Tls&, const Tls&) = default;
};

struct Redis {
    std::string url;       // holds the secret: printed only through redacted()
    std::string url_file;  // where it was read, and is again at each reconnect; "" = nowhere
    Tls tls;
    Duration connect_timeout = std::chrono::seconds{5};
    Duration command_timeout = std::chrono::seconds{3};
    Duration wait = std::chrono::seconds{15};
    Duration release_wait = std::chrono::seconds{1};
    std::string prefix = "muster";
    // How often a quiet muster speaks to Redis. `economy` changes the defaults: 180 s, 600 s, 300
    // s.
    bool economy = false;
    Duration lease = std::chrono::seconds{90};      // of the instance in the roll
    Duration sweep = std::chrono::seconds{120};     // by one instance of the fleet
    Duration own_check = std::chrono::seconds{60};  // of the own workers' registrations
    [[nodiscard]] Duration lease_renewal() const { return lease / 3; }
    // How often the queues' depths are looked at, at most.
    [[nodiscard]] Duration queue_look() const { return std::chrono::seconds{economy ? 60 : 15}; }
};

enum class LogFormat : std::uint8_t { text, json };

struct HttpAddress {
    std::string ip;
    std::uint16_t port = 0;
    [[nodiscard]] bool is_loopback() const { return ip == "::1" || ip.starts_with("127."); }
};

struct Supervisor {
    std::string service;                 // default: the hostname
    std::optional<HttpAddress> http;     // absent: no TCP
    std::string http_token_file;         // "" = none; only a loopback address goes without
    std::string http_token;              // what was in it: never printed
    std::optional<std::string> control;  // absent: the first default path that can be had, or none
    LogLevel log_level = LogLevel::info;
    LogFormat log_format = LogFormat::text;
    Duration shutdown_timeout = std::chrono::seconds{28};
};

struct Config {
    Supervisor supervisor;
    std::optional<Redis> redis;  // absent: no registry
    std::vector<Program> programs;
    std::vector<Group> groups;
};

// Of each program, in their order: its group's and its own.
std::vector<core::Priority> priorities_of(const Config& config);

}  // namespace muster::config
