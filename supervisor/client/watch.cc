#include "client/watch.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>

#include "client/asking.h"
#include "client/http_client.h"
#include "client/table.h"

namespace muster::client {

namespace {

using namespace std::chrono_literals;

constexpr Duration least_pause = 100ms;  // between two drawings, however many events come
constexpr int longest_pause = 1000;      // ms

std::size_t terminal_rows() {
    winsize size{};
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : 24;
}

// Until something happens, or a second is over. False at the end of the events.
bool wait_for_news(HttpClient& events) {
    pollfd wanted{.fd = events.fd(), .events = POLLIN, .revents = 0};
    const int ready = poll(&wanted, 1, longest_pause);
    if (ready < 0) return errno == EINTR;
    if (ready == 0) return true;
    if (!events.more()) return false;
    usleep(static_cast<useconds_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(least_pause).count()));
    return true;
}

}  // namespace

std::string screen(std::string_view text, std::size_t rows) {
    std::string out = "\x1b[H";  // not cleared first: that flickers
    for (std::size_t row = 1; row < rows && !text.empty(); ++row) {
        const auto end = std::min(text.find('\n'), text.size());
        out += text.substr(0, end);
        out += "\x1b[K\n";
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return out + "\x1b[J";
}

Printed watch_status(const CommandLine& line) {
    if (isatty(STDOUT_FILENO) == 0)
        return failed(line, exit_usage,
                      Error{"--watch draws on a terminal, and stdout is none",
                            "`muster events -f` is for pipes and files"});
    auto events = reach(line);
    if (!events) return failed(line, exit_unreachable, events.error());
    const Outcome sent = events->send("GET", "/v1/events?follow=true&tail=0");
    if (!sent) return failed(line, exit_unreachable, sent.error());
    const auto head = events->receive(patience);
    if (!head) return failed(line, exit_unreachable, head.error());
    if (head->status != 200) return refused(line, *head);
    for (;;) {
        const auto reply = ask(line, "GET", "/v1/status");
        if (!reply) return failed(line, exit_unreachable, reply.error());
        if (reply->status != 200) return refused(line, *reply);
        Printed shown = show_status(line, reply->body, wants_colour());
        if (shown.out.empty()) return shown;  // nobody is called so
        const std::string drawn = screen(shown.out, terminal_rows());
        std::fwrite(drawn.data(), 1, drawn.size(), stdout);
        if (std::fflush(stdout) != 0) return {.status = exit_failed, .out = {}, .err = {}};
        if (!wait_for_news(*events))
            return failed(line, exit_unreachable, Error{"the supervisor has ended"});
    }
}

}  // namespace muster::client
