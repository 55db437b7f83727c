// What processes and the supervisor itself have written, for whoever asks.

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "base/text.h"
#include "daemon/supervisor.h"

namespace muster::daemon {

namespace {

// Says to one client what a stream says from now on.
class LogFollower final : public control::BodySource, private logs::Follower {
public:
    LogFollower(logs::Tails& tails, logs::StreamKey stream) : tails_(tails), stream_(stream) {}
    LogFollower(const LogFollower&) = delete;
    LogFollower& operator=(const LogFollower&) = delete;
    ~LogFollower() override {
        if (sink_ != nullptr) tails_.forget(stream_, *this);
    }
    void start(control::BodySink& sink) override {
        sink_ = &sink;
        tails_.follow(stream_, *this);
    }

private:
    void output(std::string_view bytes) override { sink_->write(bytes); }

    logs::Tails& tails_;
    logs::StreamKey stream_;
    control::BodySink* sink_ = nullptr;
};

control::ApiError not_captured(const control::LogQuery& query) {
    const char* stream = query.is_stderr ? "stderr" : "stdout";
    return {
        409, "not_captured",
        fmt::format("the {} of '{}' does not pass through the supervisor", stream, query.process),
        fmt::format("{} = \"forward\", or a file, is what `muster logs` can show", stream)};
}

// Enough for so many lines of a usual length.
std::size_t bytes_for(std::size_t lines) {
    constexpr std::size_t least = std::size_t{64} * 1024;
    constexpr std::size_t most = std::size_t{1024} * 1024;
    return std::min(most, std::max(least, lines * 256));
}

}  // namespace

std::optional<control::ApiError> Supervisor::logs(const control::LogQuery& query,
                                                  const control::HttpServer::Respond& respond) {
    const auto found = std::find_if(parts_.begin(), parts_.end(), [&](const ProcessParts& parts) {
        return parts.id == query.process;
    });
    if (found == parts_.end()) return no_such_process(query.process);
    const ProcessId id{static_cast<std::uint32_t>(found - parts_.begin())};
    const config::ProgramSettings& program = lives_.settings_of(id);
    const bool is_stderr =
        query.is_stderr && program.stderr_to.kind != config::OutputKind::as_stdout;
    const config::OutputKind kind = (is_stderr ? program.stderr_to : program.stdout_to).kind;
    if (kind != config::OutputKind::forward && kind != config::OutputKind::file)
        return not_captured(query);
    const logs::StreamKey stream{id.value(), is_stderr};
    const auto answer = [this, stream, query, respond](std::string text) {
        control::Response response{.body = std::move(text), .content_type = "text/plain"};
        if (query.follows) response.rest = std::make_shared<LogFollower>(executor_.tails(), stream);
        respond(std::move(response));
    };
    const std::unique_ptr<std::string>& path = found->log_file[is_stderr ? 1 : 0];
    logs::LogFile* file = path ? executor_.log_files().find(*path) : nullptr;
    if (file == nullptr) {
        answer(executor_.tails().last(stream, query.lines));
        return std::nullopt;
    }
    file->tail(bytes_for(query.lines),
               [this, stream, answer, lines = query.lines](const std::optional<std::string>& text) {
                   answer(text ? std::string(logs::last_lines(*text, lines))
                               : executor_.tails().last(stream, lines));
               });
    return std::nullopt;
}

control::ApiError no_such_process(const std::string& selector) {
    return {404, "no_such_process", fmt::format("no process or program is called '{}'", selector),
            "GET /v1/processes, or `muster status`, lists them"};
}

// Where the bytes of a log are.
struct Supervisor::LogPlace {
    enum class Kind : std::uint8_t { none, file, memory };
    Kind kind = Kind::none;
    std::string path;  // of a file
    logs::StreamKey stream{0, false};
};

std::string_view log_path(const ProcessParts& parts,
                          const config::ProgramSettings& program,
                          bool is_stderr) {
    if (const auto& path = parts.log_file[is_stderr ? 1 : 0]) return *path;
    const config::Output& output = is_stderr ? program.stderr_to : program.stdout_to;
    // Placeholders are filled for each life: before the first there is no such file.
    const bool is_known = output.path.find('{') == std::string::npos;
    return output.kind == config::OutputKind::file && is_known ? std::string_view(output.path)
                                                               : std::string_view();
}

Supervisor::LogPlace Supervisor::place_of(const control::LogName& name) const {
    if (name.process.empty()) return {LogPlace::Kind::memory, {}, logs::EventLog::own_lines};
    const auto found = std::find_if(parts_.begin(), parts_.end(), [&](const ProcessParts& parts) {
        return parts.id == name.process;
    });
    if (found == parts_.end()) return {};
    const ProcessId id{static_cast<std::uint32_t>(found - parts_.begin())};
    const config::ProgramSettings& program = lives_.settings_of(id);
    const logs::StreamKey stream{id.value(), name.is_stderr};
    if (const auto path = log_path(*found, program, name.is_stderr); !path.empty())
        return {LogPlace::Kind::file, std::string(path), stream};
    const config::OutputKind kind = (name.is_stderr ? program.stderr_to : program.stdout_to).kind;
    if (kind == config::OutputKind::forward) return {LogPlace::Kind::memory, {}, stream};
    return {};
}

const logs::Tails& Supervisor::tails_of(const control::LogName& name) {
    return name.process.empty() ? own_lines_ : executor_.tails();
}

void Supervisor::read_log(const control::LogName& name,
                          const control::ChooseLogSlice& choose,
                          const control::LogRead& done) {
    const LogPlace place = place_of(name);
    switch (place.kind) {
        case LogPlace::Kind::none:
            return done(control::make_fault(control::fault::no_file, "NO_FILE"));
        case LogPlace::Kind::memory: {
            const logs::Tails& tails = tails_of(name);
            const std::uint64_t size = tails.size(place.stream);
            const control::LogSlice slice = choose(size);
            return done(control::LogPiece{tails.piece(place.stream, slice.at, slice.length), size});
        }
        case LogPlace::Kind::file:
            break;
    }
    executor_.log_files().read(
        place.path,
        [choose](std::uint64_t size) {
            const control::LogSlice slice = choose(size);
            return logs::FileSlice{slice.at, slice.length};
        },
        [done, path = place.path](std::optional<logs::FilePiece> piece) {
            if (!piece)
                return done(control::make_fault(control::fault::failed, "FAILED",
                                                "the disk does not answer"));
            if (piece->error == ENOENT || piece->error == ENOTDIR)
                return done(control::make_fault(control::fault::no_file, "NO_FILE", path));
            if (piece->error != 0)
                return done(control::make_fault(control::fault::failed, "FAILED",
                                                errno_text(piece->error)));
            done(control::LogPiece{std::move(piece->text), piece->size});
        });
}

// Both streams; told when the last of them is empty.
void Supervisor::clear_logs(const std::string& process,
                            const std::function<void(std::optional<control::Fault>)>& done) {
    if (process.empty()) {
        own_lines_.clear(logs::EventLog::own_lines);
        return done(std::nullopt);
    }
    struct Clearing {
        std::size_t open = 1;  // our own, until all are asked
        std::optional<control::Fault> fault;
    };
    auto clearing = std::make_shared<Clearing>();
    const auto one_less = [clearing, done] {
        if (--clearing->open == 0) done(clearing->fault);
    };
    for (const bool is_stderr : {false, true}) {
        const LogPlace place = place_of({process, is_stderr});
        if (place.kind == LogPlace::Kind::none) continue;
        executor_.tails().clear(place.stream);
        if (place.kind == LogPlace::Kind::memory) continue;
        ++clearing->open;
        executor_.log_files().clear(place.path, [clearing, one_less,
                                                 process](std::optional<int> error) {
            if (!error || *error != 0)
                clearing->fault = control::make_fault(control::fault::failed, "FAILED", process);
            one_less();
        });
    }
    one_less();
}

std::shared_ptr<control::BodySource> Supervisor::follow_log(const control::LogName& name) {
    const LogPlace place = place_of(name);
    logs::Tails& tails = name.process.empty() ? own_lines_ : executor_.tails();
    return std::make_shared<LogFollower>(tails, place.stream);
}

}  // namespace muster::daemon
