#pragma once
// For answers that come without a handle (a Redis reply, a lookup): a guarded function does nothing
// once the Lifeline's owner is gone. Declare it last, so that it dies first.

#include <memory>
#include <type_traits>
#include <utility>

namespace muster::loop {

class Lifeline {
public:
    Lifeline() = default;
    Lifeline(const Lifeline&) = delete;
    Lifeline& operator=(const Lifeline&) = delete;
    ~Lifeline() = default;

    // f returns nothing; the result takes the same arguments and may be called any number of times.
    template <class F>
    [[nodiscard]] auto guard(F f) {
        if (!alive_) alive_ = std::make_shared<Alive>();
        return [alive = std::weak_ptr<Alive>(alive_), f = std::move(f)](auto&&... args) mutable {
            static_assert(std::is_void_v<decltype(f(std::forward<decltype(args)>(args)...))>);
            if (!alive.expired()) f(std::forward<decltype(args)>(args)...);
        };
    }

private:
    struct Alive {};
    std::shared_ptr<Alive> alive_;
};

}  // namespace muster::loop
