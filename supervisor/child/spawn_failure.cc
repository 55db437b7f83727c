#include <fmt/format.h>

#include <cerrno>

#include "base/text.h"
#include "child/spawn.h"

namespace muster::child {

namespace {

std::string what_failed(const SpawnFailure& failure) {
    switch (failure.stage) {
        case Stage::clone:
            return "cannot make a process";
        case Stage::session:
            return "cannot begin a session";
        case Stage::limits:
            return "cannot set its limits";
        case Stage::nice:
            return "cannot set nice to " + failure.subject;
        case Stage::oom_score_adj:
            return "cannot set oom_score_adj to " + failure.subject;
        case Stage::groups:
            return "cannot take on the groups of user " + failure.subject;
        case Stage::group:
            return "cannot take on the group of user " + failure.subject;
        case Stage::user:
            return "cannot become user " + failure.subject;
        case Stage::directory:
            return "cannot change to directory " + failure.subject;
        case Stage::output:
            return "cannot connect its output";
        case Stage::parent_is_gone:
            return "its parent is gone";
        case Stage::exec:
            return "cannot execute " + failure.subject;
        case Stage::interpreter:
            return "cannot execute " + failure.subject + ", whose interpreter is missing";
    }
    return {};
}

std::string advice(const SpawnFailure& failure) {
    if (failure.stage == Stage::exec && failure.error == ENOENT) {
        return failure.subject.find('/') == std::string::npos
                   ? "install it where PATH leads, or give its whole path"
                   : "correct the command, or the directory it is relative to";
    }
    if (failure.stage == Stage::exec && failure.error == EACCES) return "chmod +x may be missing";
    if (failure.stage == Stage::exec && failure.error == ENOEXEC) {
        return "a script needs a first line such as #!/bin/sh";
    }
    if (failure.stage == Stage::interpreter) return "see the first line of the file";
    if (failure.error == EPERM) return "muster itself has no right to do this for a child";
    return scarcity_advice(failure.error);
}

}  // namespace

Error describe(const SpawnFailure& failure, const std::string& process) {
    return Error{fmt::format("starting {}: {}: {}", process, what_failed(failure),
                             errno_text(failure.error)),
                 advice(failure)};
}

}  // namespace muster::child
