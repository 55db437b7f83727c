#include "config/import.h"

#include <fmt/format.h>
#include <glob.h>
#include <unistd.h>

#include <filesystem>

#include "base/text.h"
#include "config/file.h"
#include "config/toml_text.h"

namespace muster::config {

namespace {

std::string folder_of(const std::string& path) {
    std::error_code code;
    const auto whole = std::filesystem::absolute(path, code);
    return code ? std::string(".") : whole.parent_path().string();
}

Result<Source> read_source(const std::string& path) {
    auto text = read_file(path);
    if (!text) return text.error().while_doing(fmt::format("reading {}", path));
    return Source{path, folder_of(path), std::move(*text)};
}

Result<std::vector<Source>> matching(const std::string& here, const std::string& pattern) {
    const std::string whole = pattern.starts_with('/') ? pattern : here + "/" + pattern;
    glob_t found{};
    const int code = ::glob(whole.c_str(), 0, nullptr, &found);
    std::vector<std::string> paths;
    if (code == 0) paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
    globfree(&found);
    if (code != 0 && code != GLOB_NOMATCH)
        return Error{
            fmt::format("reading what [include] names: {}: the folder cannot be read", whole)};
    std::vector<Source> sources;
    for (const std::string& path : paths) {
        auto source = read_source(path);
        if (!source) return source.error();
        sources.push_back(std::move(*source));
    }
    return sources;
}

bool has_section(std::string_view text) {
    for (const std::string& line : split(text, '\n')) {
        if (trimmed(line).starts_with('[')) return true;
    }
    return false;
}

}  // namespace

std::string import_head(const std::string& path,
                        const std::vector<std::string>& remarks,
                        const std::vector<std::string>& left_out) {
    std::vector<std::string> lines{fmt::format("From {} by muster import.", path)};
    lines.insert(lines.end(), remarks.begin(), remarks.end());
    std::string head = toml_comment(lines);
    if (left_out.empty()) return head;
    head += "#\n# Could not be carried over:\n";
    for (const std::string& each : left_out) head += toml_comment({"  " + each});
    return head;
}

Result<Imported> import_file(const std::string& path) {
    const auto source = read_source(path);
    if (!source) return source.error();
    if (has_section(source->text)) return import_supervisord(*source, matching);
    return import_procfile(*source, access((source->here + "/.env").c_str(), R_OK) == 0);
}

}  // namespace muster::config
