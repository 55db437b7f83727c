#pragma once
// The dialect of Python's configparser that supervisord reads (4.2.5, options.py: RawConfigParser
// with ";" and "#" as inline comments): sections, `key = value` or `key: value`, values that go on
// in indented lines. Comments are kept beside what they stand before.

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace muster::config {

struct IniEntry {
    std::string key;    // in lower case
    std::string value;  // lines joined by '\n'
    int line = 0;
    std::vector<std::string> comments;  // the lines before it and its own, without their mark
};

struct IniSection {
    std::string name;
    int line = 0;
    std::vector<std::string> comments;
    std::vector<IniEntry> entries;

    // The last of that name wins, as there. Null where there is none.
    [[nodiscard]] const IniEntry* find(std::string_view key) const;
};

struct IniFile {
    std::vector<IniSection> sections;   // one that is there twice is one
    std::vector<std::string> comments;  // behind everything
};

// At most 1 MiB (the caller's business) and lines of any length. The error names the line.
Result<IniFile> read_ini(std::string_view text);

}  // namespace muster::config
