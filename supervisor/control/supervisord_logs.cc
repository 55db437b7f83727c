#include "control/supervisord_logs.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "base/text.h"
#include "control/percent.h"
#include "control/supervisord_processes.h"

namespace muster::control {

namespace {

constexpr std::uint64_t first_of_stream = 1024;  // bytes that a stream begins with

Response refused(int status, std::string_view why) {
    return {.status = status,
            .body = std::string(why) + "\n",
            .content_type = "text/plain; charset=utf-8"};
}

LogSlice last_bytes(std::uint64_t size, std::uint64_t wanted) {
    const std::uint64_t length = std::min({size, wanted, longest_log_piece});
    return {size - length, length};
}

}  // namespace

std::variant<ChooseLogSlice, Fault> slice_to_read(std::int32_t offset, std::int32_t length) {
    if (offset < 0 ? length != 0 : length < 0)
        return make_fault(fault::bad_arguments, "BAD_ARGUMENTS");
    if (offset < 0) {
        const auto wanted = static_cast<std::uint64_t>(-std::int64_t{offset});
        return [wanted](std::uint64_t size) { return last_bytes(size, wanted); };
    }
    const auto at = static_cast<std::uint64_t>(offset);
    const auto most = length == 0 ? longest_log_piece
                                  : std::min(static_cast<std::uint64_t>(length), longest_log_piece);
    return [at, most](std::uint64_t) { return LogSlice{at, most}; };
}

LogTail tail_of(std::uint64_t size, std::int32_t offset, std::int32_t length) {
    const auto bytes = static_cast<std::int64_t>(size);
    std::int64_t at = offset;
    std::int64_t wanted = length;
    LogTail tail;
    if (bytes > at + wanted) {
        tail.has_overflowed = true;
        at = bytes - 1;
    }
    if (at + wanted > bytes) {
        if (at > bytes - 1) wanted = 0;
        at = bytes - wanted;
    }
    tail.slice.at = static_cast<std::uint64_t>(std::max<std::int64_t>(at, 0));
    tail.slice.length =
        std::min(static_cast<std::uint64_t>(std::max<std::int64_t>(wanted, 0)), longest_log_piece);
    return tail;
}

bool is_log_stream(std::string_view path) {
    for (const std::string_view mine : {"/logtail", "/mainlogtail"}) {
        if (path.starts_with(mine) && (path.size() == mine.size() || path[mine.size()] == '/'))
            return true;
    }
    return false;
}

std::optional<LogName> SupervisordLogs::named(const std::string& name, bool is_stderr) const {
    if (name.empty()) return LogName{};
    const auto process = find(backend_, name);
    if (!process) return std::nullopt;
    return LogName{process->id, is_stderr};
}

void SupervisordLogs::read(const Wanted& wanted, const Done& done, const Failed& failed) const {
    const auto name = named(wanted.name, wanted.is_stderr);
    if (!name) return failed(bad_name(wanted.name));
    const auto slice = slice_to_read(wanted.offset, wanted.length);
    const auto* bad = std::get_if<Fault>(&slice);
    const auto choose =
        bad == nullptr ? std::get<ChooseLogSlice>(slice) : [](std::uint64_t) { return LogSlice{}; };
    // A log that is not there comes before arguments that make no sense.
    logs_.read(*name, choose,
               [done, failed, bad = bad == nullptr ? std::nullopt : std::optional<Fault>(*bad)](
                   std::variant<LogPiece, Fault> read) {
                   if (const auto* fault = std::get_if<Fault>(&read)) return failed(*fault);
                   if (bad) return failed(*bad);
                   done(std::move(std::get<LogPiece>(read).text));
               });
}

void SupervisordLogs::tail(const Wanted& wanted, const Done& done, const Failed& failed) const {
    const auto name = named(wanted.name, wanted.is_stderr);
    if (!name) return failed(bad_name(wanted.name));
    const auto offset = wanted.offset;
    const auto length = wanted.length;
    logs_.read(
        *name, [offset, length](std::uint64_t size) { return tail_of(size, offset, length).slice; },
        [done, offset, length](std::variant<LogPiece, Fault> read) {
            // Without a log there is nothing to tell, and nothing to blame.
            if (std::holds_alternative<Fault>(read))
                return done(xmlrpc::Array{"", std::int32_t{0}, false});
            auto& piece = std::get<LogPiece>(read);
            const bool has_overflowed = tail_of(piece.size, offset, length).has_overflowed;
            done(xmlrpc::Array{std::move(piece.text),
                               xmlrpc::clamped(static_cast<std::int64_t>(piece.size)),
                               has_overflowed});
        });
}

void SupervisordLogs::clear(const std::string& name, const Done& done, const Failed& failed) const {
    const auto log = named(name, false);
    if (!log) return failed(bad_name(name));
    logs_.clear(log->process, [done, failed](const std::optional<Fault>& fault) {
        fault ? failed(*fault) : done(true);
    });
}

void SupervisordLogs::stream(const Request& request, const HttpServer::Respond& respond) const {
    if (request.method != "GET") return respond(refused(400, "logs are read with GET"));
    std::vector<std::string> parts;
    for (const std::string& part : split(request.path, '/')) {
        if (part.empty()) continue;
        const auto decoded = percent_decoded(part);
        if (!decoded) return respond(refused(404, "there is no such process"));
        parts.push_back(*decoded);
    }
    if (parts.front() == "mainlogtail" && parts.size() == 1) return stream_from({}, respond);
    const std::string channel = parts.size() == 3 ? parts[2] : "stdout";
    if (parts.front() != "logtail" || parts.size() < 2 || parts.size() > 3 ||
        (channel != "stdout" && channel != "stderr"))
        return respond(refused(404, "write /logtail/PROCESS, then /stdout or /stderr"));
    const auto name = named(parts[1], channel == "stderr");
    if (!name) return respond(refused(404, "there is no such process"));
    stream_from(*name, respond);
}

void SupervisordLogs::stream_from(const LogName& name, const HttpServer::Respond& respond) const {
    logs_.read(
        name, [](std::uint64_t size) { return last_bytes(size, first_of_stream); },
        [this, name, respond](std::variant<LogPiece, Fault> read) {
            if (const auto* fault = std::get_if<Fault>(&read))
                return respond(refused(fault->code == fault::no_file ? 404 : 503, fault->text));
            respond({.body = std::move(std::get<LogPiece>(read).text),
                     .content_type = "text/plain;charset=utf-8",
                     .rest = logs_.follow(name),
                     .headers = "X-Accel-Buffering: no\r\n"});
        });
}

}  // namespace muster::control
