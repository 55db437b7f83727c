#pragma once

#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "loop/handle.h"
#include "loop/loop.h"
#include "loop/timer.h"

namespace muster {

// Runs the loop until the condition holds; false after 5 s.
template <class Condition>
bool eventually(loop::Loop& loop, Condition holds) {
    struct Look {
        uv_prepare_t raw{};
        bool silenced = false;
        Condition* holds = nullptr;
        bool* held = nullptr;
    };
    loop::HandleMemory<Look> look{std::make_unique<Look>()};
    bool held = false;
    look->holds = &holds;
    look->held = &held;
    uv_prepare_init(loop.raw(), &look->raw);
    look.opened();
    uv_prepare_start(&look->raw, [](uv_prepare_t* raw) {
        auto* self = static_cast<Look*>(raw->data);
        if (self->silenced || *self->held) return;
        *self->held = (*self->holds)();
        if (*self->held) uv_stop(raw->loop);
    });
    loop::Timer limit{loop, [&] { loop.stop(); }};
    limit.arm(loop.now() + std::chrono::seconds(5));
    loop.run();
    return held;
}

// A few turns that do not sleep: for what must not happen.
inline void some_turns(loop::Loop& loop) {
    for (int turn = 0; turn < 20; ++turn) uv_run(loop.raw(), UV_RUN_NOWAIT);
}

class TemporaryFolder {
public:
    TemporaryFolder() {
        std::string path = (std::filesystem::temp_directory_path() / "muster-XXXXXX").string();
        if (mkdtemp(path.data()) == nullptr) std::abort();
        path_ = path;
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    ~TemporaryFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    [[nodiscard]] std::string operator/(const std::string& name) const {
        return path_ + "/" + name;
    }

private:
    std::string path_;
};

}  // namespace muster
