#include "base/text.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <numeric>

namespace muster {

namespace {

std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t above = row[j];
            const std::size_t replace = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = std::min({above + 1, row[j - 1] + 1, replace});
            diagonal = above;
        }
    }
    return row.back();
}

struct SignalName {
    std::string_view name;
    int number;
};

constexpr std::array<SignalName, 31> signal_names{{
    {"HUP", SIGHUP},   {"INT", SIGINT},       {"QUIT", SIGQUIT}, {"ILL", SIGILL},
    {"TRAP", SIGTRAP}, {"ABRT", SIGABRT},     {"BUS", SIGBUS},   {"FPE", SIGFPE},
    {"KILL", SIGKILL}, {"USR1", SIGUSR1},     {"SEGV", SIGSEGV}, {"USR2", SIGUSR2},
    {"PIPE", SIGPIPE}, {"ALRM", SIGALRM},     {"TERM", SIGTERM}, {"STKFLT", SIGSTKFLT},
    {"CHLD", SIGCHLD}, {"CONT", SIGCONT},     {"STOP", SIGSTOP}, {"TSTP", SIGTSTP},
    {"TTIN", SIGTTIN}, {"TTOU", SIGTTOU},     {"URG", SIGURG},   {"XCPU", SIGXCPU},
    {"XFSZ", SIGXFSZ}, {"VTALRM", SIGVTALRM}, {"PROF", SIGPROF}, {"WINCH", SIGWINCH},
    {"IO", SIGIO},     {"PWR", SIGPWR},       {"SYS", SIGSYS},
}};

}  // namespace

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view blank = " \t\r\n";
    const auto first = text.find_first_not_of(blank);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(blank) - first + 1);
}

std::vector<std::string> split(std::string_view text, char separator) {
    std::vector<std::string> parts;
    for (;;) {
        const auto at = text.find(separator);
        parts.emplace_back(text.substr(0, at));
        if (at == std::string_view::npos) return parts;
        text.remove_prefix(at + 1);
    }
}

std::string joined(std::span<const std::string> parts, std::string_view separator) {
    return fmt::format("{}", fmt::join(parts.begin(), parts.end(), separator));
}

std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates) {
    std::string_view best;
    std::size_t least = std::max<std::size_t>(2, word.size() / 3) + 1;
    for (const std::string_view candidate : candidates) {
        const std::size_t distance = edit_distance(word.substr(0, 64), candidate);
        if (distance < least) {
            least = distance;
            best = candidate;
        }
    }
    return best;
}

std::string errno_text(int code) {
    std::array<char, 128> buffer{};
    return strerror_r(code, buffer.data(), buffer.size());
}

bool is_scarcity(int code) {
    return code == EAGAIN || code == ENOMEM || code == EMFILE || code == ENFILE;
}

std::string scarcity_advice(int code) {
    if (code == EMFILE)
        return "muster may not open more files: raise its limit (LimitNOFILE= of a unit, --ulimit "
               "nofile= of a container, ulimit -n)";
    return is_scarcity(code) ? "processes, memory or files are short just now" : "";
}

Error errno_error(std::string_view tried, int code, std::string hint) {
    Error error{fmt::format("{}: {}", tried, errno_text(code)),
                is_scarcity(code) ? scarcity_advice(code) : std::move(hint)};
    error.is_scarcity_ = is_scarcity(code);
    return error;
}

std::string redacted(std::string_view url) {
    const auto scheme = url.find("://");
    if (scheme == std::string_view::npos) return std::string(url);
    const auto query = url.find('?');
    const std::string_view front = url.substr(0, query);
    const auto start = scheme + 3;
    // The last @ counts: a password may hold one, or a raw slash. A user without a password may be
    // a password.
    const auto at = front.rfind('@');
    std::string shown(url.substr(0, start));
    if (at == std::string_view::npos || at < start) {
        shown += front.substr(start);
    } else {
        const std::string_view user = front.substr(start, at - start);
        const auto colon = user.find(':');
        if (colon != std::string_view::npos) shown += user.substr(0, colon + 1);
        shown += "***";
        shown += front.substr(at);
    }
    if (query != std::string_view::npos) shown += "?***";
    return shown;
}

int signal_by_name(std::string_view name) {
    int number = 0;
    const auto [rest, code] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (code == std::errc{} && rest == name.data() + name.size())
        return number > 0 && number < NSIG ? number : 0;
    if (name.substr(0, 3) == "SIG") name.remove_prefix(3);
    const auto* found = std::find_if(signal_names.begin(), signal_names.end(),
                                     [&](const SignalName& s) { return s.name == name; });
    return found == signal_names.end() ? 0 : found->number;
}

std::string signal_name(int number) {
    const auto* found = std::find_if(signal_names.begin(), signal_names.end(),
                                     [&](const SignalName& s) { return s.number == number; });
    return found == signal_names.end() ? std::to_string(number) : std::string(found->name);
}

std::size_t utf8_length(std::string_view text) {
    struct Lead {  // the first byte, and what the second may be; the others are 80 to BF
        unsigned first, last, least, most;
        std::size_t length;
    };
    static constexpr Lead leads[] = {{0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
                                     {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3},
                                     {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
                                     {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
    const auto byte = [&](std::size_t i) {
        return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
    };
    if (byte(0) < 0x80) return text.empty() ? 0 : 1;
    for (const Lead& lead : leads) {
        if (byte(0) < lead.first || byte(0) > lead.last) continue;
        if (byte(1) < lead.least || byte(1) > lead.most) return 0;
        for (std::size_t i = 2; i < lead.length; ++i) {
            if ((byte(i) & 0xc0U) != 0x80) return 0;
        }
        return lead.length;
    }
    return 0;
}

bool is_utf8(std::string_view text) {
    while (!text.empty()) {
        const std::size_t size = utf8_length(text);
        if (size == 0) return false;
        text.remove_prefix(size);
    }
    return true;
}

std::string random_text(std::size_t size) {
    constexpr std::string_view alphabet = "abcdefghijklmnopqrstuvwxyz0123456789";
    std::string text;
    while (text.size() < size) {
        std::array<unsigned char, 64> bytes{};
        const ssize_t got = getrandom(bytes.data(), bytes.size(), 0);
        for (ssize_t i = 0; i < got && text.size() < size; ++i) {
            // 252 is the largest multiple of 36 in a byte: what is above would favour the first
            // letters.
            if (bytes[static_cast<std::size_t>(i)] < 252)
                text += alphabet[bytes[static_cast<std::size_t>(i)] % 36];
        }
    }
    return text;
}

}  // namespace muster
