#pragma once
// A plain blocking HTTP/1.1 client on a unix socket: the command line waits for nothing else.

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "base/unique_fd.h"

namespace muster::client {

struct HttpReply {
    int status = 0;
    std::string body;
};

class HttpClient {
public:
    static Result<HttpClient> connect(const std::string& path);

    Outcome send(std::string_view method, std::string_view target, std::string_view body = {});
    // The answer to what was sent, or why none came within `patience`.
    Result<HttpReply> receive(Duration patience);

private:
    HttpClient(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
    Outcome read_more(TimePoint deadline);

    UniqueFd fd_;
    std::string path_;
    std::string in_;
};

}  // namespace muster::client
