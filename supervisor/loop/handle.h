#pragma once
// libuv needs a handle's memory until the close callback, one turn later. So the memory belongs to
// libuv, and the right to be called belongs to the owner: when the owner is gone, nobody is called.
// Destroying is allowed at any moment, even inside one's own callback.

#include <uv.h>

#include <functional>
#include <memory>
#include <utility>

namespace muster::loop {

// Body is a struct with `raw` (the uv handle, or a union of them) and `bool silenced`. Whoever gets
// to the body by a uv callback must look at `silenced` after every call of a foreign function.
template <class Body>
class HandleMemory {
public:
    explicit HandleMemory(std::unique_ptr<Body> body) : body_(body.release()) {}
    HandleMemory(const HandleMemory&) = delete;  // the address is in libuv's hands
    HandleMemory& operator=(const HandleMemory&) = delete;
    ~HandleMemory() {
        if (!open_) {  // libuv never saw it
            delete std::exchange(body_, nullptr);
            return;
        }
        body_->silenced = true;
        uv_close(as_handle(), [](uv_handle_t* handle) { delete static_cast<Body*>(handle->data); });
    }

    // To be called as soon as uv_*_init has succeeded.
    void opened() {
        as_handle()->data = body_;
        open_ = true;
    }
    Body* operator->() const { return body_; }
    [[nodiscard]] Body* get() const { return body_; }

private:
    [[nodiscard]] uv_handle_t* as_handle() const {
        return reinterpret_cast<uv_handle_t*>(&body_->raw);
    }

    Body* body_;
    bool open_ = false;
};

// A handle with one callback. Timer, Signals and the like derive from it.
template <class Raw, class... Args>
class Handle {
public:
    using Callback = std::function<void(Args...)>;
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;

protected:
    explicit Handle(Callback callback)
        : memory_(std::make_unique<Body>(Raw{}, std::move(callback))) {}
    ~Handle() = default;

    [[nodiscard]] Raw* raw() const { return &memory_->raw; }
    [[nodiscard]] bool is_active() const {
        return uv_is_active(reinterpret_cast<const uv_handle_t*>(raw())) != 0;
    }
    void opened() { memory_.opened(); }

    // The only trampoline.
    static void fire(Raw* raw, Args... args) noexcept {
        auto* body = static_cast<Body*>(raw->data);
        if (!body->silenced) body->callback(std::forward<Args>(args)...);
    }

private:
    struct Body {
        Body(Raw r, Callback c) : raw(r), callback(std::move(c)) {}
        Raw raw;
        Callback callback;
        bool silenced = false;
    };
    HandleMemory<Body> memory_;
};

}  // namespace muster::loop
