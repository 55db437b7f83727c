#include "daemon/programs.h"

#include <algorithm>

#include "config/expand.h"

namespace muster::daemon {

namespace {

bool may_choose_own_name(const std::vector<std::string>& command) {
    return std::none_of(command.begin(), command.end(), [](const std::string& word) {
        return config::has_placeholder(word, "name");
    });
}

}  // namespace

void Programs::put(ProgramId id, const config::Program& program) {
    if (id.value() >= count()) all_.resize(id.value() + 1);
    Entry& entry = all_[id.value()];
    entry.command = program.command;
    const config::ProgramSettings& settings = program;
    const bool names_itself = may_choose_own_name(program.command);
    const std::shared_ptr<const RunSettings> before =
        id.value() == 0 ? nullptr : all_[id.value() - 1].settings;
    const bool is_equal =
        before && before->may_choose_own_name == names_itself && settings == *before;
    entry.settings = is_equal
                         ? before
                         : std::make_shared<const RunSettings>(RunSettings{settings, names_itself});
}

config::Program Programs::as_configured(ProgramId id, std::string name) const {
    const config::ProgramSettings& all = settings(id);
    return {all, std::move(name), command(id)};
}

}  // namespace muster::daemon
