#include "loop/resolver.h"

#include <netdb.h>

#include <algorithm>
#include <array>
#include <memory>

namespace muster::loop {

struct Resolver::Lookup {
    uv_getaddrinfo_t request{};
    Answer answer;
    std::string host;
    std::function<void(Lookup*, Addresses)> finished;  // guarded by the Resolver's Lifeline
};

namespace {

Error not_found(const std::string& host, int status) {
    return uv_error("looking up the host " + host, status);
}

Result<std::vector<std::string>> numeric(const std::string& host, const addrinfo* found) {
    std::vector<std::string> addresses;
    for (const addrinfo* info = found; info != nullptr; info = info->ai_next) {
        std::array<char, NI_MAXHOST> text{};
        const int status =
            getnameinfo(info->ai_addr, info->ai_addrlen, text.data(),
                        static_cast<socklen_t>(text.size()), nullptr, 0, NI_NUMERICHOST);
        if (status != 0) continue;  // neither IPv4 nor IPv6
        if (std::find(addresses.begin(), addresses.end(), text.data()) == addresses.end())
            addresses.emplace_back(text.data());
    }
    if (addresses.empty()) return not_found(host, UV_EAI_NODATA);
    return addresses;
}

bool is_numeric(const std::string& host) {
    std::array<unsigned char, sizeof(in6_addr)> address{};
    return uv_inet_pton(AF_INET, host.c_str(), address.data()) == 0 ||
           uv_inet_pton(AF_INET6, host.c_str(), address.data()) == 0;
}

}  // namespace

Resolver::Resolver(Loop& loop) : loop_(loop), soon_(loop, [this] { answer_known(); }) {}

Resolver::~Resolver() {
    for (Lookup* lookup : pending_) uv_cancel(reinterpret_cast<uv_req_t*>(&lookup->request));
}

void Resolver::lookup(const std::string& host, std::uint16_t port, Answer answer) {
    if (is_numeric(host)) {  // spares libuv's four threads, and their memory
        known_.push_back({std::move(answer), std::vector{host}});
        soon_.arm(loop_.now());
        return;
    }
    auto lookup = std::make_unique<Lookup>();
    lookup->host = host;
    lookup->request.data = lookup.get();
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    const int status = uv_getaddrinfo(loop_.raw(), &lookup->request, on_found, host.c_str(),
                                      std::to_string(port).c_str(), &hints);
    if (status != 0) {  // the name is too long, for example
        known_.push_back({std::move(answer), not_found(host, status)});
        soon_.arm(loop_.now());
        return;
    }
    lookup->answer = std::move(answer);
    lookup->finished = lifeline_.guard(
        [this](Lookup* done, Addresses addresses) { finished(done, std::move(addresses)); });
    pending_.push_back(lookup.release());
}

void Resolver::on_found(uv_getaddrinfo_t* request, int status, addrinfo* found) noexcept {
    const std::unique_ptr<Lookup> lookup(static_cast<Lookup*>(request->data));
    Addresses addresses =
        status == 0 ? numeric(lookup->host, found) : Addresses{not_found(lookup->host, status)};
    uv_freeaddrinfo(found);
    lookup->finished(lookup.get(), std::move(addresses));
}

void Resolver::finished(Lookup* lookup, Addresses addresses) {
    std::erase(pending_, lookup);
    lookup->answer(std::move(addresses));
}

void Resolver::answer_known() {
    auto answer_all =
        lifeline_.guard([](Known& known) { known.answer(std::move(known.addresses)); });
    std::vector<Known> known = std::move(known_);
    known_.clear();
    for (Known& each : known) answer_all(each);  // does nothing once an answer has destroyed us
}

}  // namespace muster::loop
