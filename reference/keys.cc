#include "reference/keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <variant>

#include "base/text.h"
#include "config/load.h"
#include "config/schema.h"

namespace muster::reference {

namespace {

constexpr Key keys[] = {
    {"", "supervisor", Shape::table, "muster itself"},
    {"", "redis", Shape::table, "the Redis of the registries; without one muster runs without"},
    {"", "program", Shape::named, "one table [program.NAME] for each: a command and its policy"},
    {"", "group", Shape::named, "one table [group.NAME] for each: programs to act on as one"},

    {.table = "supervisor",
     .name = "service",
     .shape = Shape::text,
     .does = "groups instances in the roll; 1 to 128 characters without blanks and colons",
     .initially = "the hostname"},
    {.table = "supervisor",
     .name = "control",
     .shape = Shape::text,
     .does = "path of the control socket, made 0600 in a folder 0700",
     .initially = "/run/muster/control.sock for root, else in $XDG_RUNTIME_DIR or /tmp/muster-UID"},
    {.table = "supervisor",
     .name = "http",
     .shape = Shape::text,
     .does = "HOST:PORT of the control API over TCP",
     .initially = "none: off"},
    {.table = "supervisor",
     .name = "http_token_file",
     .shape = Shape::text,
     .does = "file with the token that is asked for beyond loopback",
     .initially = "none"},
    {.table = "supervisor",
     .name = "log",
     .shape = Shape::table,
     .does = "muster's own lines and those that it forwards"},
    {.table = "supervisor",
     .name = "shutdown_timeout",
     .shape = Shape::duration,
     .does = "for the whole shutdown, whatever the programs ask for",
     .initial = "\"28s\""},
    {.table = "supervisor",
     .name = "include",
     .shape = Shape::texts,
     .does = "further files with programs and groups: names or patterns, from this file's folder",
     .initially = "none"},

    {.table = "supervisor.log",
     .name = "level",
     .shape = Shape::words,
     .does = "how much is told",
     .initial = "\"info\"",
     .words = "debug|info|warn|error|critical"},
    {.table = "supervisor.log",
     .name = "format",
     .shape = Shape::words,
     .does = "one line for each event, as text or as JSON",
     .initial = "\"text\"",
     .words = "text|json"},

    {.table = "redis",
     .name = "url",
     .shape = Shape::text,
     .does = "redis://user:password@host:6379/0, rediss://..., unix:///path?db=0, or "
             "redis+sentinel://host1:26379,host2/SERVICE/0",
     .initially = "$MUSTER_REDIS_URL, else $REDIS_URL"},
    {.table = "redis",
     .name = "url_file",
     .shape = Shape::text,
     .does = "file that holds the URL instead; read again at each reconnect",
     .initially = "none"},
    {.table = "redis", .name = "tls", .shape = Shape::table, .does = "for rediss://"},
    {.table = "redis",
     .name = "prefix",
     .shape = Shape::text,
     .does = "what muster's own keys begin with: 1 to 64 of A-Z a-z 0-9 _ . : -",
     .initial = "\"muster\""},
    {.table = "redis",
     .name = "connect_timeout",
     .shape = Shape::duration,
     .does = "for the name, the connection, TLS and the login together",
     .initial = "\"5s\""},
    {.table = "redis",
     .name = "command_timeout",
     .shape = Shape::duration,
     .does = "for the answer to a command",
     .initial = "\"3s\""},
    {.table = "redis",
     .name = "lease",
     .shape = Shape::duration,
     .does = "of this instance in the roll, renewed every third of it",
     .initial = "\"90s\"",
     .initially = "180s with economy"},
    {.table = "redis",
     .name = "sweep",
     .shape = Shape::duration,
     .does = "how often stale registrations of others are looked for, by one instance at a time",
     .initial = "\"120s\"",
     .initially = "600s with economy"},
    {.table = "redis",
     .name = "economy",
     .shape = Shape::boolean,
     .does = "speaks to Redis less often: for a Redis that bills by the command",
     .initial = "false"},
    {.table = "redis",
     .name = "wait",
     .shape = Shape::duration,
     .does = "how long a start waits for Redis before workers are started all the same",
     .initial = "\"15s\""},
    {.table = "redis",
     .name = "release_wait",
     .shape = Shape::duration,
     .does = "how long a replacement waits for the release of the dead one",
     .initial = "\"1s\""},

    {.table = "redis.tls",
     .name = "ca_file",
     .shape = Shape::text,
     .does = "whom to trust, in PEM",
     .initially = "the system's CAs"},
    {.table = "redis.tls",
     .name = "verify",
     .shape = Shape::words,
     .does = "what is held against the certificate: signer and host, the signer alone, or nothing",
     .initial = "\"full\"",
     .words = "full|ca|none"},
    {.table = "redis.tls",
     .name = "cert_file",
     .shape = Shape::text,
     .does = "a certificate of our own, in PEM",
     .initially = "none"},
    {.table = "redis.tls",
     .name = "key_file",
     .shape = Shape::text,
     .does = "the key of cert_file",
     .initially = "in cert_file"},

    {.table = "program.NAME",
     .name = "command",
     .shape = Shape::command,
     .does =
         "what is run; required. Split like by a shell but run without one; {...} are filled in",
     .initially = "none"},
    {.table = "program.NAME",
     .name = "registry",
     .shape = Shape::words,
     .does = "the job system in whose registry the workers are; sets fitting defaults",
     .initial = "\"none\""},
    {.table = "program.NAME",
     .name = "processes",
     .shape = Shape::processes,
     .does = "how many; \"cpus\" is the cgroup's quota. Without the key: one, whose id is NAME",
     .initially = "one",
     .least = 1,
     .most = 10'000},
    {.table = "program.NAME",
     .name = "name",
     .shape = Shape::text,
     .does = "template of each life's worker name, also in $MUSTER_WORKER_NAME",
     .initial = "\"{program}-{host}-{pid}-{time}-{rand}\""},
    {.table = "program.NAME",
     .name = "directory",
     .shape = Shape::text,
     .does = "where it is run",
     .initially = "muster's own"},
    {.table = "program.NAME",
     .name = "user",
     .shape = Shape::account,
     .does = "as whom it is run, with the groups of that user",
     .initially = "as muster"},
    {.table = "program.NAME",
     .name = "group",
     .shape = Shape::account,
     .does = "the group instead of the user's own",
     .initially = "the user's"},
    {.table = "program.NAME",
     .name = "environment",
     .shape = Shape::variables,
     .does = "variables besides muster's own environment",
     .initial = "{}"},
    {.table = "program.NAME",
     .name = "env_file",
     .shape = Shape::text,
     .does = "file of NAME=VALUE lines, read at each start",
     .initially = "none"},
    {.table = "program.NAME",
     .name = "umask",
     .shape = Shape::umask,
     .does = "octal digits",
     .initially = "muster's own"},
    {.table = "program.NAME",
     .name = "limits",
     .shape = Shape::table,
     .does = "resource limits, niceness and the OOM score"},
    {.table = "program.NAME",
     .name = "autostart",
     .shape = Shape::boolean,
     .does = "whether it is started with muster",
     .initial = "true"},
    {.table = "program.NAME",
     .name = "after",
     .shape = Shape::after,
     .does = "programs that must be there first: NAME, NAME:started, NAME:ready (the same as NAME) "
             "or NAME:succeeded; stopped in reverse",
     .initial = "[]"},
    {.table = "program.NAME",
     .name = "priority",
     .shape = Shape::whole,
     .does = "order of starts, ascending, and of stops, descending",
     .initial = "999",
     .most = 1'000'000},
    {.table = "program.NAME",
     .name = "restart",
     .shape = Shape::words,
     .does = "what happens after an end",
     .initial = "\"always\"",
     .words = "always|on-failure|never"},
    {.table = "program.NAME",
     .name = "exit_codes",
     .shape = Shape::codes,
     .does = "those that are expected: no failure, no pause",
     .initial = "[0]"},
    {.table = "program.NAME",
     .name = "ready",
     .shape = Shape::ready,
     .does = "when a start has succeeded",
     .initial = "{ after = \"1s\" }",
     .initially = "\"registered\" with a registry that can be read"},
    {.table = "program.NAME",
     .name = "start_timeout",
     .shape = Shape::duration,
     .does = "not ready by then is a failed start",
     .initial = "\"60s\""},
    {.table = "program.NAME",
     .name = "backoff",
     .shape = Shape::table,
     .does = "the pause before the next try: min(max, initial * factor^failures), plus or minus "
             "jitter"},
    {.table = "program.NAME",
     .name = "start_limit",
     .shape = Shape::whole,
     .does = "starts in a row that never became ready, then FATAL; 0: never",
     .initial = "10",
     .most = 1'000'000},
    {.table = "program.NAME",
     .name = "on_fatal",
     .shape = Shape::words,
     .does = "when muster ends for it: all essential programs FATAL, this one FATAL, never",
     .initial = "\"exit-when-all\"",
     .words = "exit-when-all|exit|stay"},
    {.table = "program.NAME",
     .name = "essential",
     .shape = Shape::boolean,
     .does = "whether muster's exit status and its end depend on it",
     .initial = "true"},
    {.table = "program.NAME",
     .name = "stop",
     .shape = Shape::steps,
     .does = "signals, each sent once, with how long to wait after it; KILL is always the last",
     .initial = "[\"TERM 25s\", \"KILL\"]",
     .initially = "QUIT first for resque; sidekiq's own timeout and 5s for sidekiq"},
    {.table = "program.NAME",
     .name = "drain",
     .shape = Shape::duration,
     .does = "how long a worker that is replaced or scaled away may finish its job",
     .initial = "0",
     .initially = "10m with a registry"},
    {.table = "program.NAME",
     .name = "orphans",
     .shape = Shape::words,
     .does = "what a life leaves behind: TERM, 1s, KILL; or waited for; or left alone",
     .initial = "\"kill\"",
     .words = "kill|wait|leave"},
    {.table = "program.NAME",
     .name = "jobs",
     .shape = Shape::words,
     .does =
         "what becomes of a dead worker's job: the job system's own retry rules decide, nothing "
         "is done, or it fails",
     .initial = "\"hand-back\"",
     .initially = "leave where the job system allows nothing else",
     .words = "hand-back|leave|fail"},
    {.table = "program.NAME",
     .name = "poison",
     .shape = Shape::table,
     .does = "a job that killed so many workers is failed and kept"},
    {.table = "program.NAME",
     .name = "singleton",
     .shape = Shape::boolean,
     .does = "one process in the whole fleet, by a lease in Redis",
     .initial = "false"},
    {.table = "program.NAME",
     .name = "memory",
     .shape = Shape::table,
     .does = "limits of the whole session's memory"},
    {.table = "program.NAME",
     .name = "max_age",
     .shape = Shape::duration,
     .does = "a life that is older is replaced, one at a time, after 80 to 100 % of it by chance",
     .initially = "none"},
    {.table = "program.NAME",
     .name = "stdout",
     .shape = Shape::output,
     .does = "where output goes: to muster's own stdout by line, or as the child writes it, "
             "nowhere, or into a file",
     .initial = "\"forward\"",
     .words = "forward|inherit|null"},
    {.table = "program.NAME",
     .name = "stderr",
     .shape = Shape::output,
     .does = "the same, or \"stdout\": into the same stream",
     .initial = "\"forward\"",
     .words = "forward|inherit|null|stdout"},
    {.table = "program.NAME",
     .name = "log_rotate",
     .shape = Shape::table,
     .does = "how a file of stdout or stderr is rotated"},
    {.table = "program.NAME",
     .name = "overflow",
     .shape = Shape::words,
     .does =
         "output that its target cannot take now: the child waits, or it is dropped and counted",
     .initial = "\"wait\"",
     .words = "wait|drop"},
    {.table = "program.NAME",
     .name = "custom",
     .shape = Shape::table,
     .does = "with registry = \"custom\": where home-made workers register"},
    {.table = "program.NAME",
     .name = "listener",
     .shape = Shape::table,
     .does = "it speaks supervisord's event listener protocol on its stdin and stdout"},
    {.table = "program.NAME",
     .name = "health",
     .shape = Shape::table,
     .does = "when a worker that runs is hung"},
    {.table = "program.NAME",
     .name = "autoscale",
     .shape = Shape::table,
     .does = "a number of processes that follows the queues"},

    {.table = "program.NAME.limits",
     .name = "nofile",
     .shape = Shape::bound,
     .does = "open files",
     .initially = "as muster was started with"},
    {.table = "program.NAME.limits",
     .name = "nproc",
     .shape = Shape::bound,
     .does = "processes of the user",
     .initially = "as muster"},
    {.table = "program.NAME.limits",
     .name = "core",
     .shape = Shape::bound,
     .does = "size of a core file",
     .initially = "as muster"},
    {.table = "program.NAME.limits",
     .name = "as",
     .shape = Shape::bound,
     .does = "address space of a process",
     .initially = "as muster"},
    {.table = "program.NAME.limits",
     .name = "cpu",
     .shape = Shape::bound,
     .does = "seconds of CPU time",
     .initially = "as muster"},
    {.table = "program.NAME.limits",
     .name = "data",
     .shape = Shape::bound,
     .does = "data segment",
     .initially = "as muster"},
    {.table = "program.NAME.limits",
     .name = "fsize",
     .shape = Shape::bound,
     .does = "size of a file that is written",
     .initially = "as muster"},
    {.table = "program.NAME.limits",
     .name = "locks",
     .shape = Shape::bound,
     .does = "file locks",
     .initially = "as muster"},
    {.table = "program.NAME.limits",
     .name = "memlock",
     .shape = Shape::bound,
     .does = "locked memory",
     .initially = "as muster"},
    {.table = "program.NAME.limits",
     .name = "msgqueue",
     .shape = Shape::bound,
     .does = "bytes in POSIX message queues",
     .initially = "as muster"},
    {.table = "program.NAME.limits",
     .name = "rss",
     .shape = Shape::bound,
     .does = "resident memory (no effect on Linux)",
     .initially = "as muster"},
    {.table = "program.NAME.limits",
     .name = "rtprio",
     .shape = Shape::bound,
     .does = "real-time priority",
     .initially = "as muster"},
    {.table = "program.NAME.limits",
     .name = "rttime",
     .shape = Shape::bound,
     .does = "microseconds of real-time CPU without a pause",
     .initially = "as muster"},
    {.table = "program.NAME.limits",
     .name = "sigpending",
     .shape = Shape::bound,
     .does = "pending signals of the user",
     .initially = "as muster"},
    {.table = "program.NAME.limits",
     .name = "stack",
     .shape = Shape::bound,
     .does = "stack",
     .initially = "as muster"},
    {.table = "program.NAME.limits",
     .name = "nice",
     .shape = Shape::whole,
     .does = "niceness",
     .initially = "as muster",
     .least = -20,
     .most = 19},
    {.table = "program.NAME.limits",
     .name = "oom_score_adj",
     .shape = Shape::whole,
     .does = "who goes first when memory is short",
     .initially = "as muster",
     .least = -1000,
     .most = 1000},

    {.table = "program.NAME.ready",
     .name = "tcp",
     .shape = Shape::text,
     .does = "HOST:PORT, or the path of a unix socket, that takes a connection",
     .initially = "none"},
    {.table = "program.NAME.ready",
     .name = "after",
     .shape = Shape::duration,
     .does = "has lived for so long",
     .initially = "none"},
    {.table = "program.NAME.ready",
     .name = "http",
     .shape = Shape::text,
     .does = "URL that answers with 2xx",
     .initially = "none"},
    {.table = "program.NAME.ready",
     .name = "exec",
     .shape = Shape::command,
     .does = "command that ends with 0",
     .initially = "none"},
    {.table = "program.NAME.ready",
     .name = "notify",
     .shape = Shape::boolean,
     .does = "says READY=1 on $NOTIFY_SOCKET",
     .initially = "none"},

    {.table = "program.NAME.backoff",
     .name = "initial",
     .shape = Shape::duration,
     .does = "the first pause",
     .initial = "\"1s\""},
    {.table = "program.NAME.backoff",
     .name = "max",
     .shape = Shape::duration,
     .does = "the longest pause",
     .initial = "\"60s\""},
    {.table = "program.NAME.backoff",
     .name = "factor",
     .shape = Shape::real,
     .does = "by how much it grows with each failure",
     .initial = "2.0",
     .least = 1,
     .most = 100},
    {.table = "program.NAME.backoff",
     .name = "jitter",
     .shape = Shape::real,
     .does = "the share of it that is left to chance",
     .initial = "0.25",
     .most = 1},
    {.table = "program.NAME.backoff",
     .name = "reset_after",
     .shape = Shape::duration,
     .does = "ready for so long forgives all failures",
     .initial = "\"2m\""},

    {.table = "program.NAME.poison",
     .name = "deaths",
     .shape = Shape::whole,
     .does = "so many; 0: none is too many",
     .initial = "3",
     .most = 1000},
    {.table = "program.NAME.poison",
     .name = "within",
     .shape = Shape::duration,
     .does = "in so long",
     .initial = "\"24h\""},

    {.table = "program.NAME.memory",
     .name = "soft",
     .shape = Shape::size,
     .does = "over it in two looks: replaced when its job is done",
     .initially = "none"},
    {.table = "program.NAME.memory",
     .name = "hard",
     .shape = Shape::size,
     .does = "over it: replaced at once",
     .initially = "none"},

    {.table = "program.NAME.log_rotate",
     .name = "size",
     .shape = Shape::size,
     .does = "rotated when it is so large (4096 or more); 0: never",
     .initial = "\"10MB\""},
    {.table = "program.NAME.log_rotate",
     .name = "keep",
     .shape = Shape::whole,
     .does = "how many older ones; 0: the file begins anew",
     .initial = "5",
     .most = 1000},
    {.table = "program.NAME.log_rotate",
     .name = "compress",
     .shape = Shape::boolean,
     .does = "older ones by gzip, in the background",
     .initial = "false"},

    {.table = "program.NAME.listener",
     .name = "events",
     .shape = Shape::texts,
     .does = "what it is told: PROCESS_STATE, TICK_60, PROCESS_GROUP_ADDED and others",
     .initially = "required"},
    {.table = "program.NAME.listener",
     .name = "buffer",
     .shape = Shape::whole,
     .does = "events that wait for it to be ready; the oldest is dropped where more come",
     .initial = "10",
     .least = 1,
     .most = 10'000},

    {.table = "program.NAME.custom",
     .name = "set",
     .shape = Shape::text,
     .does = "the set that holds all workers",
     .initially = "none"},
    {.table = "program.NAME.custom",
     .name = "member",
     .shape = Shape::text,
     .does = "the worker's member of it; {name} must be in it",
     .initially = "{name}"},
    {.table = "program.NAME.custom",
     .name = "key",
     .shape = Shape::text,
     .does = "the worker's own hash; {name} must be in it",
     .initially = "none"},
    {.table = "program.NAME.custom",
     .name = "fields",
     .shape = Shape::fields,
     .does = "fields of key that must say so before it is removed; at most 16",
     .initially = "none"},

    {.table = "program.NAME.health",
     .name = "registry",
     .shape = Shape::table,
     .does = "by what the registry says; of programs with a registry"},
    {.table = "program.NAME.health",
     .name = "exec",
     .shape = Shape::table,
     .does = "by a command that ends with 0"},
    {.table = "program.NAME.health",
     .name = "http",
     .shape = Shape::table,
     .does = "by a URL that answers with 2xx"},
    {.table = "program.NAME.health",
     .name = "tcp",
     .shape = Shape::table,
     .does = "by an address that takes a connection"},
    {.table = "program.NAME.health",
     .name = "watchdog",
     .shape = Shape::duration,
     .does = "says WATCHDOG=1 on $NOTIFY_SOCKET as often",
     .initially = "none"},
    {.table = "program.NAME.health",
     .name = "progress",
     .shape = Shape::duration,
     .does = "there is a backlog, but nothing is finished for so long",
     .initially = "none"},

    {.table = "program.NAME.health.registry",
     .name = "missing_after",
     .shape = Shape::duration,
     .does = "a live worker whose name another one holds for so long is restarted",
     .initial = "\"60s\""},
    {.table = "program.NAME.health.registry",
     .name = "heartbeat_timeout",
     .shape = Shape::duration,
     .does = "an idle worker whose heartbeat stood still for so long is restarted",
     .initial = "\"10m\""},

    {.table = "group.NAME",
     .name = "programs",
     .shape = Shape::texts,
     .does = "their names; required. A program is in one group at most",
     .initially = "none"},
    {.table = "group.NAME",
     .name = "priority",
     .shape = Shape::whole,
     .does = "as a program's, and before it",
     .initial = "999",
     .most = 1'000'000},
};

std::vector<std::string> parts_of(std::string_view text, char between) {
    return text.empty() ? std::vector<std::string>{} : split(text, between);
}

std::string listed(const std::vector<std::string>& words) {
    std::string text;
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (i > 0) text += i + 1 == words.size() ? " or " : ", ";
        text += '"' + words[i] + '"';
    }
    return text;
}

}  // namespace

std::span<const Key> all_keys() {
    return keys;
}

std::vector<Key> keys_of(std::string_view table) {
    std::vector<Key> found;
    for (const Key& key : keys) {
        if (key.table == table && acts(key)) found.push_back(key);
    }
    return found;
}

std::string path_of(const Key& key) {
    return key.table.empty() ? std::string(key.name) : fmt::format("{}.{}", key.table, key.name);
}

std::string file_with(const Key& key, std::string_view value) {
    std::string path = path_of(key);
    if (const auto name = path.find("NAME"); name != path.npos) path.replace(name, 4, "a");
    return fmt::format("{} = {}\n", path, value);
}

// Never mind what else is wrong with the file: the reader refuses such a key before its value.
bool acts(const Key& key) {
    const auto loaded = config::load_text(file_with(key, "1"), "reference",
                                          [](const auto&) { return std::optional<std::string>{}; });
    const auto* problems = std::get_if<std::vector<config::Problem>>(&loaded);
    return problems == nullptr ||
           std::none_of(problems->begin(), problems->end(), [](const config::Problem& each) {
               return each.text.find(config::not_yet) != std::string::npos;
           });
}

std::vector<std::string> words_of(const Key& key) {
    if (path_of(key) != "program.NAME.registry") return parts_of(key.words, '|');
    std::vector<std::string> words;
    for (const auto& choice : config::registries) {
        if (choice.value) words.emplace_back(choice.word);
    }
    return words;
}

std::string what_it_takes(const Key& key) {
    switch (key.shape) {
        case Shape::text:
            return "text";
        case Shape::texts:
            return "array of texts";
        case Shape::table:
            return "table";
        case Shape::named:
            return "tables";
        case Shape::words:
            return listed(words_of(key));
        case Shape::whole:
            return fmt::format("number from {} to {}", key.least, key.most);
        case Shape::real:
            return fmt::format("number from {} to {}, with a fraction", key.least, key.most);
        case Shape::boolean:
            return "true or false";
        case Shape::duration:
            return "duration";
        case Shape::size:
            return "size";
        case Shape::command:
            return "text, or array of texts";
        case Shape::processes:
            return fmt::format("number from {} to {}, or \"cpus\"", key.least, key.most);
        case Shape::account:
            return "name or number";
        case Shape::umask:
            return "text of octal digits, as \"022\"";
        case Shape::after:
            return "text, or array of texts";
        case Shape::codes:
            return "array of numbers from 0 to 255";
        case Shape::ready:
            return "\"registered\", or table with one key";
        case Shape::steps:
            return "text, or array of texts, as \"TERM 25s\"";
        case Shape::output:
            return listed(words_of(key)) + ", or a path";
        case Shape::bound:
            return "size or \"unlimited\", or array of the soft and the hard one";
        case Shape::variables:
            return "table of texts and numbers";
        case Shape::fields:
            return "table of texts";
    }
    return "";
}

}  // namespace muster::reference
