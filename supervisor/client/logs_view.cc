#include "client/logs_view.h"

#include <fmt/format.h>
#include <poll.h>

#include <cerrno>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "client/asking.h"
#include "client/http_client.h"
#include "client/selected.h"
#include "control/percent.h"

namespace muster::client {

namespace {

struct Followed {
    HttpClient client;
    Labelled label;
    bool is_over = false;
};

void print_now(const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
}

// What has come; false at the end of all.
bool print_more(std::vector<Followed>& all) {
    std::vector<pollfd> wanted;
    for (const Followed& each : all) {
        if (!each.is_over) wanted.push_back({each.client.fd(), POLLIN, 0});
    }
    if (wanted.empty()) return false;
    if (poll(wanted.data(), wanted.size(), -1) < 0 && errno != EINTR) return false;
    std::size_t at = 0;
    for (Followed& each : all) {
        if (each.is_over) continue;
        if (wanted[at++].revents == 0) continue;
        const auto more = each.client.more();
        std::string out;
        if (more) each.label.append(out, *more);
        each.is_over = !more;
        if (each.is_over) each.label.end(out);
        print_now(out);
    }
    return true;
}

std::string target_of(const CommandLine& line, const std::string& id) {
    return fmt::format("/v1/logs/{}?stream={}&tail={}{}", control::percent_encoded(id),
                       line.is_stderr ? "stderr" : "stdout", line.lines,
                       line.follows ? "&follow=true" : "");
}

}  // namespace

void Labelled::append(std::string& out, std::string_view bytes) {
    if (label_.empty()) {
        out += bytes;
        return;
    }
    while (!bytes.empty()) {
        if (is_at_start_) out += label_;
        const auto newline = bytes.find('\n');
        is_at_start_ = newline != std::string_view::npos;
        const std::size_t size = is_at_start_ ? newline + 1 : bytes.size();
        out += bytes.substr(0, size);
        bytes.remove_prefix(size);
    }
}

void Labelled::end(std::string& out) {
    if (!label_.empty() && !is_at_start_) out += '\n';
    is_at_start_ = true;
}

Printed show_logs(const CommandLine& line) {
    auto chosen = selected(line);
    if (auto* nobody = std::get_if<Printed>(&chosen)) return std::move(*nobody);
    const auto& ids = std::get<std::vector<std::string>>(chosen);
    Printed printed;
    std::vector<Followed> followed;
    for (const std::string& id : ids) {
        auto client = reach(line);
        if (!client) return failed(line, exit_unreachable, client.error());
        const Outcome sent = client->send("GET", target_of(line, id));
        if (!sent) return failed(line, exit_unreachable, sent.error());
        Labelled label{ids.size() > 1 ? id + " | " : std::string{}};
        const auto reply = client->receive(patience);
        if (!reply) return failed(line, exit_unreachable, reply.error());
        if (reply->status != 200) {
            const Printed why = refused(line, *reply);
            printed.status = why.status;
            printed.err += why.err;
            continue;
        }
        std::string out;
        label.append(out, reply->body);
        if (!line.follows) label.end(out);
        print_now(out);
        if (line.follows) followed.push_back({std::move(*client), std::move(label)});
    }
    while (print_more(followed)) {
    }
    return printed;
}

}  // namespace muster::client
