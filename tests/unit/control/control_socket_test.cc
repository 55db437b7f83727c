#include "control/control_socket.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <fstream>

#include "control/default_paths.h"
#include "rig.h"

using namespace muster;
using control::ControlSocket;
using control::Folder;

namespace {

mode_t mode_of(const std::string& path) {
    struct stat about {};
    return lstat(path.c_str(), &about) == 0 ? about.st_mode : 0;
}

std::string refusal(const std::string& path) {
    loop::Loop loop;
    const auto opened = ControlSocket::open(loop, path, [](auto) {});
    return opened ? std::string{} : opened.error().message() + "; " + opened.error().hint();
}

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

// A socket file that nobody listens on.
void leave_stale_socket(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    const UniqueFd fd{socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    REQUIRE(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
}

}  // namespace

TEST_CASE("the control socket is 0600 in a 0700 folder and goes with its owner") {
    const Folder folder;
    const std::string path = folder / "a/b/control.sock";
    {
        loop::Loop loop;
        const auto opened = ControlSocket::open(loop, path, [](auto) {});
        REQUIRE(opened.ok());
        CHECK((*opened)->path() == path);
        CHECK(mode_of(path) == (S_IFSOCK | 0600));
        CHECK(mode_of(folder / "a/b") == (S_IFDIR | 0700));
    }
    CHECK(mode_of(path) == 0);
}

TEST_CASE("a socket that a dead process left is replaced") {
    const Folder folder;
    const std::string path = folder / "control.sock";
    leave_stale_socket(path);
    loop::Loop loop;
    CHECK(ControlSocket::open(loop, path, [](auto) {}).ok());
}

TEST_CASE("a socket that a supervisor listens on is refused and stays") {
    const Folder folder;
    const std::string path = folder / "control.sock";
    loop::Loop loop;
    const auto first = ControlSocket::open(loop, path, [](auto) {});
    REQUIRE(first.ok());
    const std::string why = refusal(path);
    CHECK(has(why, "another supervisor answers there"));
    CHECK(has(why, "muster shutdown"));
    CHECK(mode_of(path) == (S_IFSOCK | 0600));
}

TEST_CASE("a socket file that is not ours any more is not removed") {
    const Folder folder;
    const std::string path = folder / "control.sock";
    {
        loop::Loop loop;
        const auto opened = ControlSocket::open(loop, path, [](auto) {});
        REQUIRE(opened.ok());
        // The new file is made before the old one goes, so that it cannot get the same inode.
        leave_stale_socket(folder / "other.sock");
        std::filesystem::rename(folder / "other.sock", path);
    }
    CHECK(S_ISSOCK(mode_of(path)));
}

TEST_CASE("what cannot be had is a sentence that says what to do") {
    const Folder folder;
    std::ofstream(folder / "file") << "mine";
    std::filesystem::create_directory(folder / "is-a-folder");
    CHECK(has(refusal(folder / "file"), "a file that is no socket is there; remove it"));
    CHECK(has(refusal(folder / "is-a-folder"), "it is a folder"));
    CHECK(has(refusal(folder / "file/control.sock"), "is not a folder"));
    CHECK(has(refusal(folder / std::string(120, 'x')), "name a shorter path"));
    CHECK(has(refusal(""), "is not the path of a file"));
    CHECK(has(refusal(folder / "x/"), "is not the path of a file"));
    CHECK(has(refusal("/proc/muster/control.sock"), "making the folder /proc/muster"));
    std::ifstream file(folder / "file");
    std::string kept;
    file >> kept;
    CHECK(kept == "mine");
}

TEST_CASE("in a folder of everybody, a link that somebody put there is not followed") {
    const Folder folder;
    std::filesystem::create_directory(folder / "tmp");
    std::filesystem::permissions(folder / "tmp", std::filesystem::perms::all);
    std::filesystem::create_directory(folder / "target");
    std::filesystem::create_directory_symlink(folder / "target", folder / "tmp/muster-1");
    CHECK(has(refusal(folder / "tmp/muster-1/control.sock"), "put there by somebody else"));
    CHECK(std::filesystem::is_empty(folder / "target"));
}

TEST_CASE("the default paths are few and absolute") {
    const auto paths = control::default_control_paths();
    REQUIRE(!paths.empty());
    for (const std::string& path : paths) CHECK(path.front() == '/');
    if (geteuid() == 0) CHECK(paths.front() == "/run/muster/control.sock");
}
