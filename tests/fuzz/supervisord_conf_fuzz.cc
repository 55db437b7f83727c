// Whatever stands in a supervisord.conf: an error in words, or a TOML text that our reader takes
// for TOML with keys that it knows. Values that it refuses are the author's business: `muster
// check` tells them. The [include]d file is the same text, so that files can contradict each other.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "config/import.h"
#include "config/load.h"

namespace {

using namespace muster::config;

// "program.web.key: unknown key", perhaps "; did you mean"; and not of a program that calls itself
// so.
bool is_unknown_key(const std::string& text) {
    constexpr std::string_view words = ": unknown key";
    const auto end = text.find(words);
    if (end != std::string::npos && end + words.size() < text.size() &&
        text[end + words.size()] != ';')
        return false;
    constexpr std::string_view plain =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.";
    return end != std::string::npos &&
           std::string_view(text).substr(0, end).find_first_not_of(plain) == std::string_view::npos;
}

void check(const Imported& imported, const std::string& from) {
    const Environment environment = [](const std::string&) { return "1"; };
    const Loaded loaded = load_text(imported.toml, "imported.toml", environment);
    const auto* problems = std::get_if<std::vector<Problem>>(&loaded);
    if (problems == nullptr) return;
    for (const Problem& problem : *problems) {
        // A complaint about a value begins with the way to it; about keys it says so.
        const bool is_of_value = problem.text.starts_with("program.") ||
                                 problem.text.starts_with("group.") ||
                                 problem.text.starts_with("supervisor.");
        if (is_of_value && !is_unknown_key(problem.text)) continue;
        std::fprintf(stderr, "not so: %s writes our TOML: %s\n%s\n", from.c_str(),
                     describe(problem).c_str(), imported.toml.c_str());
        std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    const Includes includes =
        [&](const std::string& here,
            const std::string& pattern) -> muster::Result<std::vector<Source>> {
        if (pattern.empty()) return muster::Error{"an empty pattern"};
        return std::vector<Source>{{"included.conf", here, text}};
    };
    if (const auto imported = import_supervisord({"s.conf", "/srv", text}, includes))
        check(*imported, "a supervisord.conf");
    if (const auto imported = import_procfile({"Procfile", "/srv", text}, size % 2 == 1))
        check(*imported, "a Procfile");
    return 0;
}
