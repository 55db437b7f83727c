#pragma once
// A plain blocking HTTP/1.1 client on a unix socket: the command line waits for nothing else.

#include <optional>
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
    // The answer to what was sent, or why none came within `patience`. Of a body that goes on: what
    // has come of it so far.
    Result<HttpReply> receive(Duration patience);

    // What comes next of a body that goes on; waits for it. Nothing at its end, however it came.
    std::optional<std::string> more();
    [[nodiscard]] int fd() const { return fd_.get(); }

private:
    HttpClient(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
    Outcome read_more(TimePoint deadline);
    std::string take_chunks();

    UniqueFd fd_;
    std::string path_;
    std::string in_;
    bool has_ended_ = false;  // the body that went on
};

}  // namespace muster::client
