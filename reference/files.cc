#include "reference/files.h"

#include "reference/completions.h"
#include "reference/json_schema.h"
#include "reference/man.h"
#include "reference/markdown.h"

namespace muster::reference {

namespace {

std::function<std::string(const std::string&)> always(std::string (*make)()) {
    return [make](const std::string&) { return make(); };
}

}  // namespace

std::vector<MadeFile> made_files() {
    return {
        {"conf/muster.schema.json", always(json_schema)},
        {"docs/man/muster.1", always(man_of_command)},
        {"docs/man/muster.toml.5", always(man_of_file)},
        {"docs/configuration.md", always(docs_of_file)},
        {"docs/commands.md", always(docs_of_command)},
        {"completions/muster.bash", always(completion_for_bash)},
        {"completions/muster.zsh", always(completion_for_zsh)},
        {"completions/muster.fish", always(completion_for_fish)},
        {"README.md", [](const std::string& present) { return with_verbs(present); }},
    };
}

}  // namespace muster::reference
