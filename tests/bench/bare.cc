// The floor: vfork, exec and a blocking waitpid, and nothing else. Starts N children and restarts
// whoever dies. TERM ends it and them.
//   bare N COMMAND ARGS…     ("%d" in an argument becomes the child's index)

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

namespace {

volatile std::sig_atomic_t is_ending = 0;

pid_t start(const std::vector<std::string>& words, int index) {
    std::vector<std::string> filled = words;
    for (std::string& word : filled) {
        if (const auto at = word.find("%d"); at != std::string::npos)
            word.replace(at, 2, std::to_string(index));
    }
    std::vector<char*> argv;
    for (std::string& word : filled) argv.push_back(word.data());
    argv.push_back(nullptr);
    const pid_t pid = vfork();
    if (pid == 0) {
        execv(argv[0], argv.data());
        _exit(127);
    }
    return pid;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) return 2;
    struct sigaction action {};
    action.sa_handler = [](int) { is_ending = 1; };  // without SA_RESTART: waitpid returns
    sigaction(SIGTERM, &action, nullptr);
    const std::vector<std::string> words(argv + 2, argv + argc);
    std::map<pid_t, int> children;
    for (int i = 0; i < atoi(argv[1]); ++i) children[start(words, i)] = i;
    while (is_ending == 0) {
        const pid_t dead = waitpid(-1, nullptr, 0);
        const auto found = children.find(dead);
        if (found == children.end()) continue;
        const int index = found->second;
        children.erase(found);
        children[start(words, index)] = index;
    }
    for (const auto& [pid, index] : children) kill(pid, SIGTERM);
    while (waitpid(-1, nullptr, 0) > 0) {
    }
}
