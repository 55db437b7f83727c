// Whatever stands in a file: an answer, and one that can be shown; what was accepted prints as a
// file that is accepted again.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "config/expand.h"
#include "config/load.h"
#include "config/print.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace muster::config;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const Environment environment = [&](const std::string& name) -> std::optional<std::string> {
        if (name == "EMPTY") return "";
        if (name == "SELF") return std::string(text.substr(0, 100));
        return std::nullopt;
    };
    const Loaded loaded = load_text(text, "fuzz.toml", environment);
    if (const auto* problems = std::get_if<std::vector<Problem>>(&loaded)) {
        if (problems->empty()) std::abort();
        for (const Problem& problem : *problems) {
            if (describe(problem).empty() || problem.text.empty()) std::abort();
        }
        return 0;
    }
    const auto& config = std::get<Config>(loaded);
    for (const Program& program : config.programs) {
        if (program.command.empty() || program.policy.stop.empty()) std::abort();
        for (const std::string& word : program.command) static_cast<void>(fill(word, {}));
    }
    const auto again = load_text(printed(config), "printed.toml", environment);
    if (std::get_if<Config>(&again) == nullptr) {
        for (const Problem& problem : std::get<std::vector<Problem>>(again))
            std::fprintf(stderr, "%s\n", describe(problem).c_str());
        std::abort();
    }
    return 0;
}
