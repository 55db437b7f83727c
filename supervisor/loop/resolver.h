#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "loop/lifeline.h"
#include "loop/loop.h"
#include "loop/timer.h"

namespace muster::loop {

// Names to addresses, without ever blocking the loop.
class Resolver {
public:
    using Answer = std::function<void(Result<std::vector<std::string>> numeric_ips)>;

    explicit Resolver(Loop& loop);
    Resolver(const Resolver&) = delete;
    Resolver& operator=(const Resolver&) = delete;
    ~Resolver();  // what is still asked for is not answered any more

    // At least one address, in the system's order of preference. The answer comes in a later turn,
    // never inside lookup(); nobody is called once the Resolver is gone.
    void lookup(const std::string& host, std::uint16_t port, Answer answer);

private:
    using Addresses = Result<std::vector<std::string>>;
    struct Lookup;
    struct Known {
        Answer answer;
        Addresses addresses;
    };
    static void on_found(uv_getaddrinfo_t* request, int status, addrinfo* found) noexcept;
    void finished(Lookup* lookup, Addresses addresses);
    void answer_known();

    Loop& loop_;
    std::vector<Lookup*> pending_;  // the memory is libuv's, until its callback
    std::vector<Known> known_;      // needs no lookup; answered in the next turn
    Timer soon_;
    Lifeline lifeline_;
};

}  // namespace muster::loop
