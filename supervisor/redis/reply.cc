#include "redis/reply.h"

#include <fmt/format.h>
#include <hiredis/read.h>

#include <utility>

namespace muster::redis {
namespace {

struct Account {
    ReplyReader::Limits limits;
    std::size_t elements = 0;
    std::size_t bytes_pending = 0;  // fed since the last whole reply
};

// A task's object is a Reply: the root is on the heap and belongs to the reader, all others stand
// in their parent's elements, which do not move while a child of theirs is being filled.
void* place(const redisReadTask* task, Reply reply) {
    auto* account = static_cast<Account*>(task->privdata);
    if (++account->elements > account->limits.elements) return nullptr;
    if (task->parent == nullptr) return new Reply(std::move(reply));
    auto* parent = static_cast<Reply*>(task->parent->obj);
    parent->elements.push_back(std::move(reply));
    return &parent->elements.back();
}

void* make_string(const redisReadTask* task, char* bytes, std::size_t size) noexcept {
    Reply reply;
    reply.type = Reply::Type::text;
    if (task->type == REDIS_REPLY_STATUS) reply.type = Reply::Type::status;
    if (task->type == REDIS_REPLY_ERROR) reply.type = Reply::Type::error;
    reply.text.assign(bytes, size);
    return place(task, std::move(reply));
}

// The count is an int in hiredis 0.14 and a size_t since 1.0. Nothing is reserved for what a
// peer only promises.
template <class Count>
void* make_array(const redisReadTask* task, Count) noexcept {
    const auto* account = static_cast<const Account*>(task->privdata);
    std::size_t depth = 1;
    for (const auto* up = task->parent; up != nullptr; up = up->parent) ++depth;
    if (depth > account->limits.depth) return nullptr;
    Reply reply;
    reply.type = Reply::Type::array;
    return place(task, std::move(reply));
}

void* make_integer(const redisReadTask* task, long long value) noexcept {
    Reply reply;
    reply.type = Reply::Type::integer;
    reply.integer = value;
    return place(task, std::move(reply));
}

void* make_nil(const redisReadTask* task) noexcept {
    return place(task, Reply{});
}

void free_root(void* object) noexcept {
    delete static_cast<Reply*>(object);
}

// RESP3 types, which hiredis knows since 1.0; never asked for, but a peer may send them.
[[maybe_unused]] void* make_double(const redisReadTask* task,
                                   double,
                                   char* text,
                                   std::size_t size) noexcept {
    return make_string(task, text, size);
}
[[maybe_unused]] void* make_bool(const redisReadTask* task, int value) noexcept {
    return make_integer(task, value);
}

template <class Functions>
void add_resp3(Functions& functions) {
    if constexpr (requires { functions.createDouble; }) functions.createDouble = make_double;
    if constexpr (requires { functions.createBool; }) functions.createBool = make_bool;
}

}  // namespace

struct ReplyReader::State {
    explicit State(Limits limits) : account{.limits = limits} {
        functions.createString = make_string;
        functions.createArray = make_array;
        functions.createInteger = make_integer;
        functions.createNil = make_nil;
        functions.freeObject = free_root;
        add_resp3(functions);
        reader = redisReaderCreateWithFunctions(&functions);
        reader->privdata = &account;
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() { redisReaderFree(reader); }

    Error broken() {
        is_broken = true;
        const std::string_view why = reader->errstr;
        if (why.find("memory") != std::string_view::npos)
            return Error{"the answer is deeper or larger than any answer to us can be"};
        return Error{fmt::format("not a Redis answer ({})", why)};
    }

    Account account;
    redisReplyObjectFunctions functions{};
    redisReader* reader = nullptr;
    bool is_broken = false;
};

ReplyReader::ReplyReader(Limits limits) : state_(std::make_unique<State>(limits)) {}
ReplyReader::~ReplyReader() = default;

Outcome ReplyReader::feed(std::string_view bytes) {
    if (state_->is_broken) return Error{"the stream of answers is broken"};
    state_->account.bytes_pending += bytes.size();
    if (state_->account.bytes_pending > state_->account.limits.bytes) {
        state_->is_broken = true;
        return Error{"the answer is larger than any answer to us can be"};
    }
    if (redisReaderFeed(state_->reader, bytes.data(), bytes.size()) != 0) return state_->broken();
    return Done{};
}

Result<std::optional<Reply>> ReplyReader::next() {
    if (state_->is_broken) return Error{"the stream of answers is broken"};
    void* object = nullptr;
    if (redisReaderGetReply(state_->reader, &object) != 0) return state_->broken();
    if (object == nullptr) return std::optional<Reply>{};
    const std::unique_ptr<Reply> reply(static_cast<Reply*>(object));
    state_->account.elements = 0;
    state_->account.bytes_pending = state_->reader->len - state_->reader->pos;
    return std::optional<Reply>{std::move(*reply)};
}

}  // namespace muster::redis
