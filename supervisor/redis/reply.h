#pragma once
// What Redis answered, as a value, and the reader that makes it out of bytes.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace muster::redis {

struct Reply {
    enum class Type : std::uint8_t { nil, integer, text, status, error, array };

    Type type = Type::nil;
    std::int64_t integer = 0;
    std::string text;  // of text, status and error
    std::vector<Reply> elements;

    [[nodiscard]] bool is_nil() const { return type == Type::nil; }
    [[nodiscard]] bool is_error() const { return type == Type::error; }
    [[nodiscard]] bool is_array() const { return type == Type::array; }
    [[nodiscard]] bool is_text() const { return type == Type::text || type == Type::status; }
};

// Reads replies out of a stream of bytes. After the first error it reads nothing more: the
// connection is of no use.
class ReplyReader {
public:
    struct Limits {
        std::size_t depth = 6;            // arrays in arrays
        std::size_t elements = 1U << 18;  // of one reply, all levels together
        std::size_t bytes = 1U << 26;     // of one reply
    };

    ReplyReader() : ReplyReader(Limits{}) {}
    explicit ReplyReader(Limits limits);
    ReplyReader(const ReplyReader&) = delete;
    ReplyReader& operator=(const ReplyReader&) = delete;
    ~ReplyReader();

    Outcome feed(std::string_view bytes);
    Result<std::optional<Reply>> next();  // nullopt: the rest has not come yet

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace muster::redis
