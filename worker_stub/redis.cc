#include "redis.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstdlib>
#include <string_view>

namespace muster::worker_stub {
namespace {

struct Address {
    bool is_unix = false;
    std::string host = "127.0.0.1";  // or the socket's path
    int port = 6379;
    std::string user;
    std::string password;
    std::string database;
};

std::string text_before(std::string_view text, std::string_view mark) {
    return std::string(text.substr(0, text.find(mark)));
}

std::string text_after(std::string_view text, std::string_view mark) {
    const auto at = text.find(mark);
    return at == std::string_view::npos ? std::string{}
                                        : std::string(text.substr(at + mark.size()));
}

void read_credentials(Address& address, std::string& rest) {
    const auto at = rest.rfind('@');
    if (at == std::string::npos) return;
    const auto credentials = rest.substr(0, at);
    rest.erase(0, at + 1);
    address.user = text_before(credentials, ":");
    address.password = text_after(credentials, ":");
}

std::optional<Address> read_url(const std::string& url) {
    Address address;
    std::string rest = text_after(url, "://");
    const auto scheme = text_before(url, "://");
    if (rest.empty() || (scheme != "redis" && scheme != "unix")) return {};
    read_credentials(address, rest);
    if (scheme == "unix") {
        address.is_unix = true;
        address.host = text_before(rest, "?");
        address.database = text_after(rest, "db=");
        return address;
    }
    address.database = text_after(rest, "/");
    const auto where = text_before(rest, "/");
    address.host = text_before(where, ":");
    if (const auto port = text_after(where, ":"); !port.empty()) {
        address.port = std::atoi(port.c_str());
    }
    if (address.host == "localhost") address.host = "127.0.0.1";
    return address;
}

Reply copied(const redisReply& from) {
    Reply reply;
    const auto text = [&] { return std::string(from.str, static_cast<std::size_t>(from.len)); };
    switch (from.type) {
        case REDIS_REPLY_STRING:
        case REDIS_REPLY_STATUS:
            reply.kind = Reply::Kind::text;
            reply.text = text();
            break;
        case REDIS_REPLY_INTEGER:
            reply.kind = Reply::Kind::number;
            reply.number = from.integer;
            break;
        case REDIS_REPLY_ARRAY:
            reply.kind = Reply::Kind::list;
            for (std::size_t i = 0; i < static_cast<std::size_t>(from.elements); ++i) {
                reply.list.push_back(copied(*from.element[i]).text);
            }
            break;
        case REDIS_REPLY_ERROR:
            reply.kind = Reply::Kind::error;
            reply.text = text();
            break;
        default:
            break;
    }
    return reply;
}

}  // namespace

void Redis::Closer::operator()(redisContext* context) const {
    redisFree(context);
}

std::optional<Redis> Redis::connect(const std::string& url, std::string& complaint) {
    const auto address = read_url(url);
    if (!address) {
        complaint = "the Redis URL is neither redis:// nor unix://";
        return {};
    }
    const timeval limit{.tv_sec = 5, .tv_usec = 0};
    Redis redis{address->is_unix
                    ? redisConnectUnixWithTimeout(address->host.c_str(), limit)
                    : redisConnectWithTimeout(address->host.c_str(), address->port, limit)};
    if (!redis.context_ || redis.context_->err != 0) {
        complaint = fmt::format("connecting to Redis at {}: {}", address->host,
                                redis.context_ ? redis.context_->errstr : "out of memory");
        return {};
    }
    Reply reply;
    if (!address->password.empty() && !address->user.empty()) {
        reply = redis.command({"AUTH", address->user, address->password});
    } else if (!address->password.empty()) {
        reply = redis.command({"AUTH", address->password});
    }
    if (reply.kind != Reply::Kind::error && !address->database.empty()) {
        reply = redis.command({"SELECT", address->database});
    }
    if (reply.kind == Reply::Kind::error) {
        complaint = "Redis answered: " + reply.text;
        return {};
    }
    return redis;
}

Reply Redis::command(const std::vector<std::string>& words) {
    std::vector<const char*> pointers;
    std::vector<std::size_t> lengths;
    for (const auto& word : words) {
        pointers.push_back(word.data());
        lengths.push_back(word.size());
    }
    const std::unique_ptr<redisReply, decltype(&freeReplyObject)> raw{
        static_cast<redisReply*>(redisCommandArgv(context_.get(), static_cast<int>(words.size()),
                                                  pointers.data(), lengths.data())),
        &freeReplyObject};
    if (raw) return copied(*raw);
    return Reply{.kind = Reply::Kind::error, .text = context_->errstr, .number = 0, .list = {}};
}

std::string Redis::own_address() const {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    if (getsockname(context_->fd, reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
        address.sin_family != AF_INET) {
        return "unknown";
    }
    std::array<char, INET_ADDRSTRLEN> text{};
    inet_ntop(AF_INET, &address.sin_addr, text.data(), static_cast<socklen_t>(text.size()));
    return fmt::format("{}:{}", text.data(), ntohs(address.sin_port));
}

}  // namespace muster::worker_stub
