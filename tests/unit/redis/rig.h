#pragma once
// A private redis-server on a unix socket in a temporary folder, a blocking line to it for setting
// keys up, and a loop that runs until something is so.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "loop/loop.h"
#include "loop/timer.h"
#include "redis/command.h"
#include "redis/reply.h"
#include "redis/url.h"

namespace muster::test {

class TemporaryFolder {
public:
    TemporaryFolder() {
        std::string pattern = "/tmp/muster-test-XXXXXX";
        REQUIRE(mkdtemp(pattern.data()) != nullptr);
        path_ = pattern;
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    ~TemporaryFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    [[nodiscard]] const std::string& path() const { return path_; }

private:
    std::string path_;
};

class RedisServer {
public:
    explicit RedisServer(std::vector<std::string> more = {}) : more_(std::move(more)) { start(); }
    RedisServer(const RedisServer&) = delete;
    RedisServer& operator=(const RedisServer&) = delete;
    ~RedisServer() { stop(); }

    void start() {
        std::vector<std::string> words{
            "redis-server", "--port", "0",     "--save",      "", "--appendonly", "no",
            "--unixsocket", socket(), "--dir", folder_.path()};
        words.insert(words.end(), more_.begin(), more_.end());
        std::vector<char*> argv;
        for (auto& word : words) argv.push_back(word.data());
        argv.push_back(nullptr);
        std::array<int, 2> ends{};
        REQUIRE(pipe2(ends.data(), O_CLOEXEC) == 0);
        pid_ = fork();
        REQUIRE(pid_ >= 0);
        if (pid_ == 0) {
            dup2(ends[1], STDOUT_FILENO);
            sigset_t none;
            sigemptyset(&none);
            sigprocmask(SIG_SETMASK, &none, nullptr);
            execvp(argv[0], argv.data());
            _exit(127);
        }
        output_ = UniqueFd{ends[0]};
        close(ends[1]);
        std::string log;
        while (log.find("eady to accept connections") == std::string::npos) {
            std::array<char, 4096> bytes{};
            const ssize_t size = read(output_.get(), bytes.data(), bytes.size());
            REQUIRE_MESSAGE(size > 0, log);
            log.append(bytes.data(), static_cast<std::size_t>(size));
        }
    }
    void stop() {
        if (pid_ <= 0) return;
        line_.close();
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
        pid_ = -1;
    }
    void freeze() {
        kill(pid_, SIGSTOP);
        int status = 0;
        waitpid(pid_, &status, WUNTRACED);
    }
    void thaw() { kill(pid_, SIGCONT); }

    [[nodiscard]] std::string socket() const { return folder_.path() + "/redis.sock"; }
    [[nodiscard]] redis::Url url() const {
        redis::Url url;
        url.socket_path = socket();
        url.shown = "unix://" + url.socket_path;
        return url;
    }

    redis::Reply ask(std::vector<std::string> argv) {
        if (!line_.is_open()) {
            line_ = UniqueFd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
            sockaddr_un address{};
            address.sun_family = AF_UNIX;
            socket().copy(address.sun_path, sizeof address.sun_path - 1);
            REQUIRE(connect(line_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) ==
                    0);
        }
        const std::string bytes = redis::formatted(argv);
        REQUIRE(write(line_.get(), bytes.data(), bytes.size()) ==
                static_cast<ssize_t>(bytes.size()));
        redis::ReplyReader reader;
        for (;;) {
            std::array<char, 4096> part{};
            const ssize_t size = read(line_.get(), part.data(), part.size());
            REQUIRE(size > 0);
            REQUIRE(reader.feed({part.data(), static_cast<std::size_t>(size)}));
            auto reply = reader.next();
            REQUIRE(reply);
            if (*reply) return std::move(**reply);
        }
    }
    std::string text(std::vector<std::string> argv) { return ask(std::move(argv)).text; }
    std::int64_t number(std::vector<std::string> argv) { return ask(std::move(argv)).integer; }

private:
    TemporaryFolder folder_;
    std::vector<std::string> more_;
    pid_t pid_ = -1;
    UniqueFd output_;
    UniqueFd line_;
};

// Runs until `is_so`, and says whether it came to be.
inline bool run_until(loop::Loop& loop,
                      const std::function<bool()>& is_so,
                      Duration longest = std::chrono::seconds{10}) {
    const TimePoint end = loop.now() + longest;
    bool was_so = false;
    std::function<void()> look;
    loop::Timer timer(loop, [&look] { look(); });
    look = [&] {
        was_so = is_so();
        if (was_so || loop.now() >= end)
            loop.stop();
        else
            timer.arm(loop.now() + std::chrono::milliseconds{1});
    };
    timer.arm(loop.now());
    loop.run();
    return was_so;
}

}  // namespace muster::test
