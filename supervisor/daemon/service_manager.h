#pragma once
// Tells who runs us as a service how we are, by systemd's notify protocol: a few lines of text in a
// datagram to $NOTIFY_SOCKET. Where nobody asked, nothing is sent. Nothing is ever waited for (I8):
// a state that cannot be sent now is tried again, a beat or a status is not.

#include <sys/un.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/log.h"
#include "base/result.h"
#include "base/time.h"
#include "base/unique_fd.h"
#include "loop/loop.h"
#include "loop/timer.h"

namespace muster::daemon {

struct NotifyAddress {
    sockaddr_un address;
    socklen_t size;
};
// "/run/systemd/notify", or "@name" in Linux' abstract namespace.
Result<NotifyAddress> notify_address(std::string_view text);

// How often we shall be heard: half of what $WATCHDOG_USEC allows, where it is meant for us.
std::optional<Duration> beat_interval(std::string_view microseconds,
                                      std::string_view for_pid,
                                      int our_pid);

// These variables were meant for us: a child that answered them would speak in our name.
bool is_for_us(std::string_view variable);

class ServiceManager {
public:
    using Variable = std::function<std::optional<std::string>(const char*)>;

    // `status` makes the one line that is shown for us; it is asked at most once a second.
    ServiceManager(loop::Loop& loop,
                   Log& log,
                   const Variable& variable,
                   std::function<std::string()> status);
    ServiceManager(const ServiceManager&) = delete;
    ServiceManager& operator=(const ServiceManager&) = delete;
    ~ServiceManager() = default;

    void ready();      // after the start, and after each reload
    void reloading();  // until ready() is called
    void stopping();
    void changed();  // what the status says, perhaps

private:
    void tell(std::string state);
    void try_to_tell();
    void show_status();
    void beat();
    [[nodiscard]] int send(std::string_view text) const;  // 0 or an errno

    loop::Loop& loop_;
    Log& log_;
    std::function<std::string()> status_;
    NotifyAddress address_{};
    UniqueFd socket_;  // closed: nobody asked, or nobody can be reached
    std::string untold_;
    int tries_ = 0;
    std::optional<Duration> beat_interval_;
    TimePoint shown_at_{};
    std::string shown_;

    loop::Timer retry_;
    loop::Timer show_;
    loop::Timer beat_;
};

}  // namespace muster::daemon
