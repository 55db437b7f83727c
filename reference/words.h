#pragma once
// What is told of the command beside its verbs, and of the file beside its keys; for the man pages
// and docs/.

#include <string_view>

namespace muster::reference {

struct Word {
    std::string_view word;
    std::string_view means;
};

inline constexpr Word exit_codes[] = {
    {"0", "done"},
    {"1", "failed"},
    {"2", "wrong usage or invalid configuration"},
    {"3", "not running (status)"},
    {"4", "no such process"},
    {"5", "the supervisor cannot be reached"},
};

inline constexpr Word selectors[] = {
    {"all", "every process"},
    {"NAME", "a process, or all of a program or of a group"},
    {"NAME:*", "all of a program or of a group"},
    {"NAME:PROCESS", "one process of a program or of a group"},
};

inline constexpr Word signals[] = {
    {"TERM, INT", "graceful shutdown; a second one more than 1 s later hastens it"},
    {"QUIT", "fast shutdown: TERM, 1 s, KILL for all"},
    {"HUP", "reads the file again and applies what changed"},
    {"USR1", "logs a full status"},
    {"USR2", "opens log files again"},
    {"TSTP, CONT", "quiets all workers, and ends that"},
};

inline constexpr Word variables[] = {
    {"MUSTER_CONFIG", "the configuration, where -c does not name one"},
    {"MUSTER_CONTROL", "the control socket, where -s does not name one"},
    {"MUSTER_REDIS_URL, REDIS_URL", "the Redis, where the configuration names none"},
    {"NO_COLOR", "no colour, on a terminal neither"},
};

inline constexpr Word files[] = {
    {"./muster.toml, /etc/muster/muster.toml", "the configuration, in this order"},
    {"/run/muster/control.sock", "the control socket of root"},
    {"$XDG_RUNTIME_DIR/muster/control.sock, /tmp/muster-UID/control.sock",
     "the control socket of others"},
};

inline constexpr Word examples[] = {
    {"muster run -c muster.toml", "supervises, in the foreground"},
    {"muster run --registry rq -n 4 -- rq worker jobs --name {name}",
     "four workers without a file"},
    {"muster status --watch", "the processes, as they change"},
    {"muster why shap_00", "its last deaths, and what became of its jobs"},
    {"muster sweep --redis redis://localhost --apply",
     "clears what dead workers left; no supervisor is needed"},
};

inline constexpr Word run_exit = {
    "",
    "run ends with 0 after a shutdown that was asked for, or when nothing is left to run and "
    "all ended as expected; else with the status of the first essential program that did not "
    "(128+N by signal N), with the command's own after --, with 1 when FATAL programs end "
    "it, and with 2 for an invalid configuration."};

inline constexpr Word value_forms[] = {
    {"text",
     "a TOML string. ${VAR}, ${VAR:-default} and ${VAR:?message} take the environment "
     "anywhere in it; $${ is a literal ${"},
    {"duration", "\"250ms\", \"10s\", \"5m\", \"1h\", or a number of seconds"},
    {"size",
     "a number of bytes, or \"64KB\", \"64MB\", \"1GB\" (powers of 1000), \"64KiB\", "
     "\"64MiB\", \"1GiB\" (of 1024)"},
    {"number, true or false",
     "also as a text that is taken from the environment: "
     "processes = \"${WORKERS:-2}\""},
};

inline constexpr Word placeholders[] = {
    {"{name}", "the life's worker name"},
    {"{program}, {process}, {index}", "the program's name, the process's id, its number from 0"},
    {"{host}, {service}, {instance}", "the hostname, supervisor.service, this muster's own id"},
    {"{pid}, {time}, {rand}, {uuid}",
     "only in name: the worker's pid, the Unix second of the start, 10 random characters, a "
     "random UUID"},
    {"{{", "a brace"},
};

}  // namespace muster::reference
