#include "options.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <functional>
#include <map>

namespace muster::worker_stub {
namespace {

std::vector<std::string> split(const std::string& text) {
    std::vector<std::string> parts;
    std::size_t begin = 0;
    while (begin <= text.size()) {
        const auto end = std::min(text.find(',', begin), text.size());
        if (end > begin) parts.push_back(text.substr(begin, end - begin));
        begin = end + 1;
    }
    return parts;
}

bool read_long(const std::string& text, long& out) {
    const auto* end = text.data() + text.size();
    const auto [stop, failure] = std::from_chars(text.data(), end, out);
    return failure == std::errc{} && stop == end && out >= 0;
}

bool read_int(const std::string& text, int& out) {
    long wide = 0;
    if (!read_long(text, wide) || wide > 1'000'000) return false;
    out = static_cast<int>(wide);
    return true;
}

bool read_seconds(const std::string& text, double& out) {
    char* stop = nullptr;
    out = std::strtod(text.c_str(), &stop);
    return !text.empty() && *stop == '\0' && out >= 0;
}

using Flag = std::function<void(Options&)>;
using Valued = std::function<bool(Options&, const std::string&)>;

const std::map<std::string, Flag> flags{
    {"--no-register", [](Options& o) { o.registers = false; }},
    {"--ignore-term", [](Options& o) { o.ignores_term = true; }},
    {"--hang", [](Options& o) { o.hangs = true; }},
    {"--orphan-ignores-term", [](Options& o) { o.orphan_ignores_term = true; }},
    {"--help", [](Options& o) { o.help = true; }},
    {"-h", [](Options& o) { o.help = true; }},
};

bool read_orphan(Options& options, const std::string& value) {
    if (value == "group") options.orphan = Orphan::group;
    if (value == "session") options.orphan = Orphan::session;
    return options.orphan != Orphan::none;
}

bool read_work(Options& options, const std::string& value, bool makes_a_job) {
    options.works = true;
    options.makes_a_job = makes_a_job;
    return read_seconds(value, options.job_seconds);
}

const std::map<std::string, Valued> valued{
    {"--name", [](Options& o, const std::string& v) { return !(o.name = v).empty(); }},
    {"--queues", [](Options& o, const std::string& v) { return !(o.queues = split(v)).empty(); }},
    {"--url", [](Options& o, const std::string& v) { return !(o.redis_url = v).empty(); }},
    {"--redis", [](Options& o, const std::string& v) { return !(o.redis_url = v).empty(); }},
    {"--version", [](Options& o, const std::string& v) { return !(o.version = v).empty(); }},
    {"--worker-ttl", [](Options& o, const std::string& v) { return read_int(v, o.worker_ttl); }},
    {"--work", [](Options& o, const std::string& v) { return read_work(o, v, false); }},
    {"--horse", [](Options& o, const std::string& v) { return read_work(o, v, true); }},
    {"--exit", [](Options& o, const std::string& v) { return read_int(v, o.exit_code.emplace()); }},
    {"--crash-after",
     [](Options& o, const std::string& v) { return read_seconds(v, o.crash_after.emplace()); }},
    {"--orphan", read_orphan},
    {"--grow",
     [](Options& o, const std::string& v) { return read_int(v, o.grow_megabytes.emplace()); }},
    {"--flood-stdout",
     [](Options& o, const std::string& v) { return read_long(v, o.flooding_lines.emplace()); }},
};

}  // namespace

Parsed parse(const std::vector<std::string>& arguments) {
    Parsed parsed;
    std::vector<std::string> queues;
    for (std::size_t i = 0; i < arguments.size() && parsed.complaint.empty(); ++i) {
        const auto& word = arguments[i];
        if (const auto flag = flags.find(word); flag != flags.end()) {
            flag->second(parsed.options);
        } else if (!word.starts_with('-')) {
            queues.push_back(word);
        } else if (const auto option = valued.find(word); option == valued.end()) {
            parsed.complaint = fmt::format("unknown option {}", word);
        } else if (i + 1 == arguments.size()) {
            parsed.complaint = fmt::format("{} needs a value", word);
        } else if (!option->second(parsed.options, arguments[++i])) {
            parsed.complaint = fmt::format("{}: '{}' is no value for it", word, arguments[i]);
        }
    }
    if (!queues.empty()) parsed.options.queues = queues;
    return parsed;
}

std::string usage() {
    return R"(worker_stub: behaves like an RQ worker towards Redis, and misbehaves on request
usage: worker_stub [OPTION…] [QUEUE…]
  --redis URL        redis://[user:password@]host[:port][/db] or unix://path; without it no Redis at all
  --url URL          the same
  --name NAME        the worker's name (default: a random one)
  --queues A,B       instead of QUEUE… (default: default)
  --version V        the RQ version to register as
  --worker-ttl S     (default: 420)
  --no-register      connects, but does not register
  --work S           takes jobs from its queues, S seconds each (0: for ever), in a forked horse
  --horse S          the same, and makes a job up where there is none
  --exit CODE        ends at once with this code
  --crash-after S    dies by SIGKILL
  --ignore-term      goes on at TERM and INT
  --hang             stands still: no heartbeat, no answer to TERM
  --orphan WHERE     leaves a child in its own 'group' or 'session'
  --orphan-ignores-term
  --grow MB          takes so much memory
  --flood-stdout N   writes N numbered lines
)";
}

}  // namespace muster::worker_stub
