#pragma once
// The programs as they are run, by id. A thousand of them differ in their names and commands only,
// as a rule: settings that are equal to those of the program before are kept once.

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/id.h"
#include "config/config.h"

namespace muster::daemon {

struct RunSettings : config::ProgramSettings {
    // A command without {name} may still read $MUSTER_WORKER_NAME, or name itself as it likes.
    bool may_choose_own_name = false;
    friend bool operator==(const RunSettings&, const RunSettings&) = default;
};

class Programs {
public:
    // A new one, whose id is the next, or new settings of one that is there. Lives under way keep
    // theirs by shared().
    void put(ProgramId id, const config::Program& program);

    [[nodiscard]] std::uint32_t count() const { return static_cast<std::uint32_t>(all_.size()); }
    [[nodiscard]] const RunSettings& settings(ProgramId id) const { return *shared(id); }
    [[nodiscard]] const std::shared_ptr<const RunSettings>& shared(ProgramId id) const {
        return all_[id.value()].settings;
    }
    [[nodiscard]] const std::vector<std::string>& command(ProgramId id) const {
        return all_[id.value()].command;
    }
    [[nodiscard]] core::SharedPolicy policy(ProgramId id) const {
        return std::shared_ptr<const core::Policy>{shared(id), &settings(id).policy};
    }
    [[nodiscard]] config::Program as_configured(ProgramId id, std::string name) const;

private:
    struct Entry {
        std::vector<std::string> command;
        std::shared_ptr<const RunSettings> settings;
    };
    std::deque<Entry> all_;
};

}  // namespace muster::daemon
