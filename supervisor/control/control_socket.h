#pragma once
// The unix socket that operators talk to: 0600 in a 0700 folder.

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "loop/loop.h"
#include "loop/stream.h"

namespace muster::control {

class ControlSocket {
public:
    using Accepted = std::function<void(std::unique_ptr<loop::Stream>)>;

    // Makes the folder where there is none. A socket that nobody listens on is replaced, a live one
    // is an error, and so is anything else that stands there.
    static Result<std::unique_ptr<ControlSocket>> open(loop::Loop& loop,
                                                       const std::string& path,
                                                       Accepted accepted);

    [[nodiscard]] const std::string& path() const { return path_; }

private:
    ControlSocket(std::string path, std::unique_ptr<loop::Listener> listener);

    std::string path_;
    std::unique_ptr<loop::Listener> listener_;  // removes the file if it is still ours
};

}  // namespace muster::control
