#pragma once
// What the world can do to us is a value: Result<T> holds a T or an Error, never both, never
// neither.

#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace muster {

// A sentence an operator can use: what was tried, on what, why not; the hint says what to do.
class [[nodiscard]] Error {
public:
    explicit Error(std::string message, std::string hint = {})
        : message_(std::move(message)), hint_(std::move(hint)) {}

    [[nodiscard]] const std::string& message() const { return message_; }
    [[nodiscard]] const std::string& hint() const { return hint_; }
    // Processes, memory or files are short just now: the same may go well a moment later.
    [[nodiscard]] bool is_scarcity() const { return is_scarcity_; }

    // "Permission denied" -> "reading the configuration x.toml: Permission denied"
    [[nodiscard]] Error while_doing(std::string_view what) const {
        Error whole{std::string(what) + ": " + message_, hint_};
        whole.is_scarcity_ = is_scarcity_;
        return whole;
    }

private:
    friend Error errno_error(std::string_view tried, int code, std::string hint);

    std::string message_;
    std::string hint_;
    bool is_scarcity_ = false;
};

template <class T>
class [[nodiscard]] Result {
public:
    Result(T value) : value_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : value_(std::in_place_index<1>, std::move(error)) {}

    [[nodiscard]] bool ok() const { return value_.index() == 0; }
    explicit operator bool() const { return ok(); }

    // Only after ok() was seen to be true, as with *std::optional.
    T& operator*() { return *std::get_if<0>(&value_); }
    const T& operator*() const { return *std::get_if<0>(&value_); }
    T* operator->() { return std::get_if<0>(&value_); }
    const T* operator->() const { return std::get_if<0>(&value_); }

    // Only after ok() was seen to be false.
    [[nodiscard]] const Error& error() const { return *std::get_if<1>(&value_); }

private:
    std::variant<T, Error> value_;
};

struct Done {};
using Outcome = Result<Done>;  // for what yields nothing but can fail

}  // namespace muster
