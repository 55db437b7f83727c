#include "control/supervisord_configs.h"

#include <algorithm>
#include <utility>

namespace muster::control {

namespace {

using xmlrpc::Array;
using xmlrpc::Struct;
using xmlrpc::Value;

constexpr std::string_view unset = "none";

Value or_unset(std::string_view text) {
    return text.empty() ? unset : text;
}

// A path that is still to be chosen is "auto" there, and a file; here the bytes are in memory, and
// are read the same way.
Value log_of(const ConfigView::Stream& stream) {
    if (stream.is_none) return unset;
    return stream.path.empty() ? std::string_view("auto") : stream.path;
}

Struct info(const ConfigView& config) {
    Array codes;
    for (const int code : *config.exit_codes) codes.emplace_back(std::int32_t{code});
    const auto number = [](std::uint64_t value) {
        return xmlrpc::clamped(
            static_cast<std::int64_t>(std::min<std::uint64_t>(value, INT64_MAX)));
    };
    const auto rotation = [&](const ConfigView::Stream& stream, std::uint64_t value) {
        return stream.path.empty() ? std::int32_t{0} : number(value);
    };
    const std::int32_t none = 0;
    return Struct{{"name", config.id},
                  {"group", config.group.empty() ? config.program : config.group},
                  {"inuse", config.is_active},
                  {"autostart", config.autostart},
                  {"command", config.command},
                  {"directory", or_unset(config.directory)},
                  {"uid", config.uid ? Value(number(*config.uid)) : Value(unset)},
                  {"serverurl", unset},
                  {"exitcodes", std::move(codes)},
                  {"group_prio", number(config.group_priority)},
                  {"process_prio", number(config.priority)},
                  {"startretries", number(config.start_retries)},
                  {"startsecs", xmlrpc::clamped(config.start_secs)},
                  {"stopsignal", std::int32_t{config.stop_signal}},
                  {"stopwaitsecs", xmlrpc::clamped(config.stop_wait_secs)},
                  {"killasgroup", config.kills_as_group},
                  {"redirect_stderr", config.redirects_stderr},
                  {"stdout_logfile", log_of(config.out)},
                  {"stdout_logfile_maxbytes", rotation(config.out, config.rotate_size)},
                  {"stdout_logfile_backups", rotation(config.out, config.rotate_keep)},
                  {"stdout_capture_maxbytes", none},
                  {"stdout_events_enabled", false},
                  {"stdout_syslog", false},
                  {"stderr_logfile", log_of(config.err)},
                  {"stderr_logfile_maxbytes", rotation(config.err, config.rotate_size)},
                  {"stderr_logfile_backups", rotation(config.err, config.rotate_keep)},
                  {"stderr_capture_maxbytes", none},
                  {"stderr_events_enabled", false},
                  {"stderr_syslog", false}};
}

}  // namespace

Array config_infos(const std::function<void(const std::function<void(const ConfigView&)>&)>& each) {
    std::vector<std::pair<std::string, Struct>> sorted;
    each([&](const ConfigView& config) { sorted.emplace_back(config.id, info(config)); });
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const auto& one, const auto& two) { return one.first < two.first; });
    Array infos;
    infos.reserve(sorted.size());
    for (auto& [name, one] : sorted) infos.emplace_back(std::move(one));
    return infos;
}

}  // namespace muster::control
