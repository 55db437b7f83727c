#include "daemon/service_manager.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <ctime>
#include <utility>

#include "base/text.h"

namespace muster::daemon {

namespace {

using namespace std::chrono_literals;

constexpr Duration between_tries = 100ms;
constexpr int most_tries = 50;
constexpr Duration between_statuses = 1s;
constexpr std::array for_us{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"};

std::optional<std::uint64_t> number_of(std::string_view text) {
    std::uint64_t number = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (failure != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return number;
}

// Of the clock that systemd compares it with.
std::uint64_t monotonic_microseconds() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 +
           static_cast<std::uint64_t>(now.tv_nsec) / 1'000;
}

}  // namespace

Result<NotifyAddress> notify_address(std::string_view text) {
    NotifyAddress made{};
    made.address.sun_family = AF_UNIX;
    const bool is_known = text.size() > 1 && (text.front() == '/' || text.front() == '@');
    if (!is_known || text.size() >= sizeof made.address.sun_path) {
        return Error{fmt::format("$NOTIFY_SOCKET {} is neither a path nor an @name", text),
                     "whoever started muster as a service is told nothing"};
    }
    std::copy(text.begin(), text.end(), std::begin(made.address.sun_path));
    if (text.front() == '@') made.address.sun_path[0] = '\0';
    // An abstract name ends where its length says; a path with a 0, which is there already.
    made.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + text.size() +
                                       (text.front() == '/' ? 1 : 0));
    return made;
}

std::optional<Duration> beat_interval(std::string_view microseconds,
                                      std::string_view for_pid,
                                      int our_pid) {
    const auto allowed = number_of(microseconds);
    constexpr std::uint64_t longest = 1'000'000ULL * 3600 * 24 * 365;
    if (!allowed || *allowed == 0 || *allowed > longest) return std::nullopt;
    if (!for_pid.empty() && for_pid != std::to_string(our_pid)) return std::nullopt;
    return std::chrono::microseconds{*allowed / 2};
}

bool is_for_us(std::string_view variable) {
    return std::ranges::find(for_us, variable) != for_us.end();
}

ServiceManager::ServiceManager(loop::Loop& loop,
                               Log& log,
                               const Variable& variable,
                               std::function<std::string()> status)
    : loop_(loop),
      log_(log),
      status_(std::move(status)),
      retry_(loop, [this] { try_to_tell(); }),
      show_(loop, [this] { show_status(); }),
      beat_(loop, [this] { beat(); }) {
    const auto place = variable("NOTIFY_SOCKET");
    if (!place || place->empty()) return;
    auto address = notify_address(*place);
    if (!address) {
        log_.warn("service-manager-not-told",
                  {{"reason", address.error().message()}, {"hint", address.error().hint()}});
        return;
    }
    address_ = *address;
    socket_ = UniqueFd{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    beat_interval_ = beat_interval(variable("WATCHDOG_USEC").value_or(""),
                                   variable("WATCHDOG_PID").value_or(""), ::getpid());
}

void ServiceManager::ready() {
    tell("READY=1\n");
    changed();
    if (beat_interval_ && !beat_.is_armed()) beat();
}

void ServiceManager::reloading() {
    tell(fmt::format("RELOADING=1\nMONOTONIC_USEC={}\n", monotonic_microseconds()));
}

void ServiceManager::stopping() {
    tell("STOPPING=1\n");
    changed();
}

void ServiceManager::changed() {
    if (socket_.is_open() && !show_.is_armed())
        show_.arm(std::max(loop_.now(), shown_at_ + between_statuses));
}

// Two states in one message would be one that never was: the newest wins.
void ServiceManager::tell(std::string state) {
    if (!socket_.is_open()) return;
    untold_ = std::move(state);
    tries_ = 0;
    try_to_tell();
}

void ServiceManager::try_to_tell() {
    const int failure = send(untold_);
    if (failure == 0) {
        retry_.disarm();
        return untold_.clear();
    }
    if (++tries_ < most_tries) return retry_.arm(loop_.now() + between_tries);
    log_.warn("service-manager-not-told",
              {{"state", untold_.substr(0, untold_.find('\n'))}, {"reason", errno_text(failure)}});
    untold_.clear();
}

void ServiceManager::show_status() {
    std::string status = status_();
    shown_at_ = loop_.now();
    if (status == shown_) return;
    if (send("STATUS=" + status + "\n") == 0) shown_ = std::move(status);
}

void ServiceManager::beat() {
    // One that is lost is made up for by the next: there are two in each interval.
    if (socket_.is_open()) static_cast<void>(send("WATCHDOG=1\n"));
    beat_.arm(loop_.now() + *beat_interval_);
}

int ServiceManager::send(std::string_view text) const {
    if (!socket_.is_open()) return EBADF;
    const auto* address = reinterpret_cast<const sockaddr*>(&address_.address);
    const ssize_t sent = ::sendto(socket_.get(), text.data(), text.size(),
                                  MSG_NOSIGNAL | MSG_DONTWAIT, address, address_.size);
    return sent < 0 ? errno : 0;
}

}  // namespace muster::daemon
