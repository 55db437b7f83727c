#include "client/events_view.h"

#include <fmt/format.h>
#include <poll.h>

#include <cerrno>
#include <cstdio>

#include "client/asking.h"
#include "client/json_reading.h"
#include "client/table.h"

namespace muster::client {

namespace {

std::string upper_case(std::string text) {
    for (char& c : text) {
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    }
    return text;
}

// As in muster's own log; what could be misread is quoted.
void append_field(std::string& out, std::string_view key, const std::string& value) {
    const bool is_plain = value.find_first_of(" \"=") == std::string::npos && !value.empty();
    out += fmt::format(" {}={}", key, is_plain ? value : to_text(Json(value)));
}

// Whole lines of what came in pieces.
class Lines {
public:
    explicit Lines(bool is_json) : is_json_(is_json) {}
    [[nodiscard]] std::string take(std::string_view bytes) {
        pending_ += bytes;
        std::string out;
        std::size_t from = 0;
        for (auto end = pending_.find('\n'); end != std::string::npos;
             end = pending_.find('\n', from)) {
            const std::string_view line = std::string_view(pending_).substr(from, end - from);
            out += is_json_ ? std::string(line) : event_line(line);
            out += '\n';
            from = end + 1;
        }
        pending_.erase(0, from);
        return out;
    }

private:
    bool is_json_;
    std::string pending_;
};

bool print_now(const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    return std::fflush(stdout) == 0;
}

}  // namespace

std::string event_line(std::string_view json) {
    const Json event = parse_json(json);
    if (!event.is_object()) return printable(json);
    const std::string level = text_of(event, "level");
    const std::string time = text_of(event, "time");
    std::string line =
        fmt::format("{}{}{:<5} {}", time, time.empty() ? "" : " ",
                    level == "critical" ? "CRIT" : upper_case(level), text_of(event, "event"));
    for (const auto& [key, value] : event.items()) {
        if (key == "id" || key == "time" || key == "level" || key == "event") continue;
        append_field(line, key,
                     value.is_string() ? *value.get_ptr<const std::string*>() : to_text(value));
    }
    return printable(line);
}

Printed show_events(const CommandLine& line) {
    auto client = reach(line);
    if (!client) return failed(line, exit_unreachable, client.error());
    const Outcome sent = client->send(
        "GET", fmt::format("/v1/events?tail={}{}", line.lines, line.follows ? "&follow=true" : ""));
    if (!sent) return failed(line, exit_unreachable, sent.error());
    const auto reply = client->receive(patience);
    if (!reply) return failed(line, exit_unreachable, reply.error());
    if (reply->status != 200) return refused(line, *reply);
    Lines lines{line.json};
    bool is_heard = print_now(lines.take(reply->body));
    while (line.follows && is_heard) {
        pollfd wanted{.fd = client->fd(), .events = POLLIN, .revents = 0};
        if (poll(&wanted, 1, -1) < 0 && errno != EINTR) break;  // hours of silence are no end
        if (wanted.revents == 0) continue;
        const auto more = client->more();
        if (!more) break;
        is_heard = print_now(lines.take(*more));
    }
    return {.status = is_heard ? exit_done : exit_failed, .out = {}, .err = {}};
}

}  // namespace muster::client
