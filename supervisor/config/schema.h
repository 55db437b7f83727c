#pragma once
// What load.cc puts together: the readers of the file's tables, and what is checked over all of
// them.

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "config/reader.h"

namespace muster::config {

inline constexpr Choice<RegistryKind> registries[] = {{"none", RegistryKind::none},
                                                      {"rq", RegistryKind::rq},
                                                      {"sidekiq", RegistryKind::sidekiq},
                                                      {"resque", RegistryKind::resque},
                                                      {"dramatiq", RegistryKind::dramatiq},
                                                      {"celery", RegistryKind::celery},
                                                      {"bullmq", RegistryKind::bullmq},
                                                      {"custom", RegistryKind::custom},
                                                      {"arq", std::nullopt},
                                                      {"huey", std::nullopt},
                                                      {"bee-queue", std::nullopt},
                                                      {"node-resque", std::nullopt}};

struct ProgramDraft {
    Program program;
    Position name_at;
    std::vector<Position> after_at;  // of each item of program.after
    bool has_drain = false;
    bool has_ready = false;
    Position ready_at;
    std::optional<Position> health_registry_at;
    bool has_jobs = false;
    Position jobs_at;
    bool has_custom = false;
    Position custom_at;
    bool has_priority = false;
    bool has_essential = false;
    Position listener_at;
    Position autoscale_at;
    std::optional<Position> processes_at;
    std::optional<Position> given_stdout_at;
    Position stdout_at;
    Position stderr_at;
};

struct GroupDraft {
    Group group;
    Position name_at;
    std::vector<Position> programs_at;  // of each item of group.programs
};

void read_program(const Value& value, ProgramDraft& draft);
// What follows from other keys; complains of what contradicts itself.
void complete_program(ProgramDraft& draft, Reading& reading);

// What is particular to a job system: its defaults, and what it cannot.
void read_custom(const Value& value, ProgramDraft& draft);
void complete_job_system(ProgramDraft& draft, Reading& reading);

struct RedisDraft {
    Redis redis;
    std::optional<Duration> lease;  // as the file has them; else by `economy`
    std::optional<Duration> sweep;
    bool has_url = false;
    Position url_at;
};
void read_redis(const Value& value, RedisDraft& draft);
struct SupervisorDraft {
    Supervisor supervisor;
    std::optional<Position> http_at;
    std::vector<std::string> include;  // patterns, as written
    std::vector<Position> include_at;
};
void read_supervisor(const Value& value, SupervisorDraft& draft);

// `after` names programs that are there, without a cycle and not against the priorities; no two
// processes have one id; groups hold programs that are there, each one at most.
void check_fleet(std::span<const ProgramDraft> programs,
                 std::span<const GroupDraft> groups,
                 Reading& reading);

// Why this cannot name `what` (a program, a group); "" = it can.
std::string wrong_name(std::string_view name, std::string_view what);
void read_groups(const Value& table, std::vector<GroupDraft>& groups);
// A program's, a group's: supervisord's numbers.
std::optional<std::uint32_t> read_priority(const Value& value);

// Why this is no Redis URL, or "". Never repeats a piece of it (I12).
std::string wrong_redis_url(std::string_view url);
std::optional<std::string> redis_url_of_environment(const Environment& environment,
                                                    std::string& variable);

std::string own_hostname();

}  // namespace muster::config
