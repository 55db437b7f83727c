#pragma once
// XML-RPC as supervisord speaks it: calls in, one value or a fault out (xmlrpc.com's spec; the
// types are those that supervisord 4.2.5 takes and sends).

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"

namespace muster::control::xmlrpc {

class Value;
using Array = std::vector<Value>;
using Struct = std::vector<std::pair<std::string, Value>>;

class Value {
public:
    Value(bool value) : value_(value) {}
    Value(std::int32_t value) : value_(value) {}
    Value(double value) : value_(value) {}
    Value(std::string value) : value_(std::move(value)) {}
    Value(std::string_view value) : value_(std::string(value)) {}
    Value(const char* value) : value_(std::string(value)) {}
    Value(Array value) : value_(std::move(value)) {}
    Value(Struct value) : value_(std::move(value)) {}

    // Null where it is of another type.
    template <class T>
    [[nodiscard]] const T* as() const {
        return std::get_if<T>(&value_);
    }
    [[nodiscard]] const Value* member(std::string_view name) const;

    // Python's truth, as supervisord applies it to `wait`.
    [[nodiscard]] bool is_true() const;

private:
    std::variant<bool, std::int32_t, double, std::string, Array, Struct> value_;
};

struct Call {
    std::string method;
    std::vector<Value> params;
};

inline constexpr int deepest_value = 16;

// What is not XML, no call, or deeper than deepest_value is an Error: HTTP 400, not a fault.
Result<Call> parse_call(std::string_view body);

std::string response(const Value& value);
std::string fault(int code, std::string_view text);

// A time or size as <int> can carry it.
std::int32_t clamped(std::int64_t number);

// Always valid UTF-8 without what XML 1.0 forbids: each wrong byte or character is U+FFFD, ESC is
// U+241B (its picture).
std::string clean_text(std::string_view bytes);

}  // namespace muster::control::xmlrpc
