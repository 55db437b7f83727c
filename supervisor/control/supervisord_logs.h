#pragma once
// Logs as supervisord's clients read, follow and clear them: by bytes. What is no file is read from
// the last bytes in memory, as a file whose beginning has been thrown away.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "control/api.h"
#include "control/http_server.h"
#include "control/supervisord_faults.h"
#include "control/xmlrpc.h"

namespace muster::control {

// The most that one call reads; who asks by offset goes on behind it.
inline constexpr std::uint64_t longest_log_piece = std::uint64_t{4} * 1024 * 1024;

struct LogSlice {
    std::uint64_t at = 0;
    std::uint64_t length = 0;
};
// Called in any thread.
using ChooseLogSlice = std::function<LogSlice(std::uint64_t size)>;
struct LogPiece {
    std::string text;
    std::uint64_t size = 0;  // of the whole log
};
using LogRead = std::function<void(std::variant<LogPiece, Fault>)>;

struct LogName {
    std::string process;  // id; "" = the supervisor's own log
    bool is_stderr = false;
};

// What daemon/ provides. Processes are there; answers come now or later, on the loop's thread. A
// stream without a log, and a file that is not there, are the fault NO_FILE.
struct SupervisordLogsBackend {
    std::function<void(const LogName&, ChooseLogSlice, LogRead)> read;
    // Both of a process' streams.
    std::function<void(const std::string& process, std::function<void(std::optional<Fault>)>)>
        clear;
    // What comes next, for the rest of a response.
    std::function<std::shared_ptr<BodySource>(const LogName&)> follow;
};

// The bytes that readLog and its kin mean; BAD_ARGUMENTS where supervisord says so.
std::variant<ChooseLogSlice, Fault> slice_to_read(std::int32_t offset, std::int32_t length);

// tailProcessLog's: the last `length` bytes, unless the offset is at the end already. A client that
// passes the offset back that it was given may see text again, as there.
struct LogTail {
    LogSlice slice;
    bool has_overflowed = false;
};
LogTail tail_of(std::uint64_t size, std::int32_t offset, std::int32_t length);

// Whether SupervisordLogs::stream answers it.
bool is_log_stream(std::string_view path);

class SupervisordLogs {
public:
    using Done = std::function<void(xmlrpc::Value)>;
    using Failed = std::function<void(Fault)>;

    SupervisordLogs(const Backend& backend, SupervisordLogsBackend logs)
        : backend_(backend), logs_(std::move(logs)) {}

    // GET /logtail/NAME[/CHANNEL] and /mainlogtail: the last kilobyte, and what comes.
    void stream(const Request& request, const HttpServer::Respond& respond) const;

    // `name` is "" for the supervisor's own log.
    struct Wanted {
        std::string name;
        bool is_stderr = false;
        std::int32_t offset = 0;
        std::int32_t length = 0;
    };
    void read(const Wanted& wanted, const Done& done, const Failed& failed) const;
    void tail(const Wanted& wanted, const Done& done, const Failed& failed) const;
    void clear(const std::string& name, const Done& done, const Failed& failed) const;

private:
    [[nodiscard]] std::optional<LogName> named(const std::string& name, bool is_stderr) const;
    void stream_from(const LogName& name, const HttpServer::Respond& respond) const;

    const Backend& backend_;
    SupervisordLogsBackend logs_;
};

}  // namespace muster::control
