#include "config/ini.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <optional>
#include <utility>

#include "base/text.h"

namespace muster::config {

namespace {

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return out;
}

bool is_mark(char c) {
    return c == ';' || c == '#';
}

bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

// A comment inside a line begins with a mark behind a blank.
std::size_t inline_comment(std::string_view line) {
    for (std::size_t i = 1; i < line.size(); ++i) {
        if (is_mark(line[i]) && is_blank(line[i - 1])) return i;
    }
    return line.size();
}

std::string without_mark(std::string_view comment) {
    comment = trimmed(comment);
    while (!comment.empty() && is_mark(comment.front())) comment.remove_prefix(1);
    return std::string(trimmed(comment));
}

class IniReader {
public:
    Result<IniFile> read(std::string_view text);

private:
    std::optional<Error> line(std::string_view raw);
    void begin_section(std::string_view name);
    std::optional<Error> begin_entry(std::string_view content, std::string_view whole);
    void take_comment(std::string_view comment) {
        auto text = without_mark(comment);
        if (!text.empty()) waiting_.push_back(std::move(text));
    }
    [[nodiscard]] Error wrong(std::string_view what) const {
        return Error{fmt::format("line {}: {}", number_, what)};
    }
    [[nodiscard]] IniEntry* last_entry() {
        return section_ == nullptr || section_->entries.empty() || !may_continue_
                   ? nullptr
                   : &section_->entries.back();
    }

    IniFile file_;
    IniSection* section_ = nullptr;
    std::vector<std::string> waiting_;  // comments for what comes next
    std::size_t indent_ = 0;            // of the entry that may go on
    bool may_continue_ = false;
    int number_ = 0;
};

void IniReader::begin_section(std::string_view name) {
    auto& sections = file_.sections;
    const auto found = std::find_if(sections.begin(), sections.end(),
                                    [&](const IniSection& s) { return s.name == name; });
    if (found == sections.end()) {
        sections.push_back({std::string(name), number_, std::exchange(waiting_, {}), {}});
        section_ = &sections.back();
    } else {
        section_ = &*found;
    }
    may_continue_ = false;
}

std::optional<Error> IniReader::begin_entry(std::string_view content, std::string_view whole) {
    if (section_ == nullptr) return wrong("a key before the first [section]");
    const auto mark = content.find_first_of("=:");
    if (mark == std::string_view::npos || trimmed(content.substr(0, mark)).empty())
        return wrong("is neither a [section] nor key = value");
    IniEntry entry{lower(trimmed(content.substr(0, mark))),
                   std::string(trimmed(content.substr(mark + 1))), number_,
                   std::exchange(waiting_, {})};
    const auto comment = without_mark(whole.substr(std::min(whole.size(), inline_comment(whole))));
    if (!comment.empty()) entry.comments.push_back(comment);
    section_->entries.push_back(std::move(entry));
    may_continue_ = true;
    return std::nullopt;
}

std::optional<Error> IniReader::line(std::string_view raw) {
    const std::string_view content = trimmed(raw);
    if (content.empty()) return std::nullopt;
    if (is_mark(content.front())) {
        take_comment(content);
        return std::nullopt;
    }
    const std::size_t indent = static_cast<std::size_t>(content.data() - raw.data());
    const std::string_view value = trimmed(raw.substr(0, inline_comment(raw)));
    IniEntry* entry = last_entry();
    if (entry != nullptr && indent > indent_) {
        entry->value += (entry->value.empty() ? "" : "\n") + std::string(value);
        return std::nullopt;
    }
    indent_ = indent;
    if (content.front() != '[') return begin_entry(value, raw);
    const auto end = content.find(']');
    if (end == std::string_view::npos) return wrong("a [ without its ]");
    if (end == 1) return wrong("a section without a name");
    begin_section(content.substr(1, end - 1));
    return std::nullopt;
}

Result<IniFile> IniReader::read(std::string_view text) {
    if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
    while (!text.empty()) {
        const auto end = std::min(text.find('\n'), text.size());
        ++number_;
        if (text.substr(0, end).find('\0') != std::string_view::npos)
            return wrong("holds a byte 0: is this a text?");
        if (!is_utf8(text.substr(0, end))) return wrong("is no UTF-8");
        if (auto error = line(text.substr(0, end))) return *error;
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    file_.comments = std::move(waiting_);
    return std::move(file_);
}

}  // namespace

const IniEntry* IniSection::find(std::string_view key) const {
    const auto found = std::find_if(entries.rbegin(), entries.rend(),
                                    [&](const IniEntry& each) { return each.key == key; });
    return found == entries.rend() ? nullptr : &*found;
}

Result<IniFile> read_ini(std::string_view text) {
    return IniReader{}.read(text);
}

}  // namespace muster::config
