#pragma once
// Between the fleet and the job systems' registries: who is registered, what must be told of a
// death, whose name is claimed, and whether Redis is there at all. One connection, whatever the
// number of workers.

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/time.h"
#include "config/config.h"
#include "daemon/earlier_lives.h"
#include "loop/lifeline.h"
#include "loop/loop.h"
#include "loop/timer.h"
#include "redis/client.h"
#include "registry/attendance.h"
#include "registry/claims.h"
#include "registry/debts.h"
#include "registry/roll.h"
#include "registry/settlement.h"
#include "registry/system.h"
#include "registry/vetoes.h"

namespace muster::daemon {

struct RegistrarEvents {
    std::function<void(const registry::Sought&, const registry::Registration&)> registered;
    // The debt is paid.
    std::function<void(const registry::Release&, const registry::Released&)> released;
    std::function<void(bool is_away)> redis_changed;
    // After each (re)connection: what can be proved of earlier lives in this place is settled.
    std::function<void()> place_settled;
    std::function<void(ProcessId, Incarnation, const std::string& why)> judged;  // "" = healthy
};

struct RegistrarOptions {
    registry::SystemOptions system;
    registry::InstanceFacts us;
    std::function<LastSteps(const std::string& program)> steps_of;
};

const char* verdict_text(registry::Released::Verdict verdict);  // "removed"

class Registrar {
public:
    Registrar(loop::Loop& loop,
              Log& log,
              redis::Url url,
              const config::Redis& settings,
              RegistrarOptions options,
              RegistrarEvents events);
    Registrar(const Registrar&) = delete;
    Registrar& operator=(const Registrar&) = delete;
    ~Registrar() = default;

    void start() { client_.start(); }
    // Something that may be our Redis has just come up: do not sit out the pause before the next
    // attempt.
    void redis_may_be_back() { client_.try_now(); }

    void spawned(const registry::RollEntry& entry) { roll_.put(entry); }
    void seek(registry::Sought sought);  // until it is found or forgotten
    void forget(ProcessId process);
    // From its registration to its death.
    void attend(const registry::Sought& who,
                const registry::Registration& as,
                registry::AttendanceRule rule) {
        attendance_.add(who.process, who.incarnation, who.kind, as, rule);
    }
    void ended(ProcessId process) { attendance_.remove(process); }
    // Its family goes on with its job and is waited for.
    void keep(ProcessId process, registry::RegistryKind kind, const registry::Registration& as);
    void keep_no_more(ProcessId process);
    void release(registry::Release release);
    void claim(registry::RegistryKind kind,
               registry::Claim claim,
               std::function<void(Outcome)> done);
    void drop_claim(const registry::Claim& claim);
    // What these registered workers are doing, in their order; an error while Redis is away.
    void work(registry::RegistryKind kind,
              std::vector<std::string> names,
              registry::System::WorkDone done);

    // At the end: what is still in the roll is others' to settle from now on.
    void leave() {
        roll_.leave([] {});
    }
    [[nodiscard]] bool is_ending_survivors() const { return earlier_lives_.is_ending(); }

    [[nodiscard]] bool is_away() const { return !client_.is_connected(); }
    // Whether a worker that is not seen in the registry may be there all the same (I13): Redis is
    // away, or refuses to be looked at.
    [[nodiscard]] bool is_blind() const { return is_away() || is_refused_; }
    [[nodiscard]] std::size_t debts() const { return debts_.count(); }
    [[nodiscard]] const std::string& shown_url() const { return client_.url().shown; }
    [[nodiscard]] std::string trouble() const;
    // The one connection, for what else is done about the registries.
    [[nodiscard]] redis::Client& client() { return client_; }

private:
    redis::ClientOptions client_options(redis::Url url, const config::Redis& settings);
    void look();
    void looked(const Result<std::vector<registry::System::Found>>& result);
    registry::System& system(registry::RegistryKind kind);
    void warn_of_unverified();
    void redis_changed(const redis::Client::State& state);
    void paid(const registry::Release& release, const registry::Released& released);
    void settle_place();
    void keep_all();
    registry::AttendanceTools attendance_tools();
    registry::RollEvents roll_events();
    registry::SettlementTools settlement_tools();
    void roll_trouble(const Error& error);
    void left(const registry::InstanceFacts& whose, const std::string& why);

    loop::Loop& loop_;
    Log& log_;
    RegistrarEvents events_;
    bool is_refused_ = false;     // the last look, by a Redis that is there
    bool is_unverified_ = false;  // TLS without proof of whom we talk to: to be told once
    redis::Client client_;
    registry::SystemOptions options_;
    std::map<registry::RegistryKind, std::unique_ptr<registry::System>> systems_;  // as needed
    registry::Claims claims_;
    registry::Debts debts_;
    registry::Roll roll_;
    EarlierLives earlier_lives_;
    registry::Vetoes vetoes_;
    registry::Settlement settlement_;
    registry::Attendance attendance_;
    struct Kept {
        registry::RegistryKind kind = registry::RegistryKind::none;
        registry::Registration registration;
    };
    std::map<ProcessId, Kept> kept_;
    loop::Timer keep_timer_;
    bool is_place_settled_ = false;
    std::string roll_trouble_;                 // as it was told
    std::map<std::string, std::string> left_;  // instance, and why: as it was told
    std::vector<registry::Sought> sought_;
    Duration look_pause_;
    std::size_t open_looks_ = 0;  // one for each kind that is looked for
    loop::Timer look_timer_;
    loop::Lifeline lifeline_;
};

}  // namespace muster::daemon
