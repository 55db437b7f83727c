#pragma once
// From supervisord's configuration, or a Procfile, to ours: a TOML text that means the same, and a
// list of what it could not be made to say.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace muster::config {

struct Imported {
    std::string toml;
    // "supervisord.conf:12: [program:web] serverurl: …": also at the head of the text.
    std::vector<std::string> left_out;
};

// A supervisord.conf with what its [include] names, or a Procfile: told by the content. Errors: the
// file cannot be read, or is neither.
Result<Imported> import_file(const std::string& path);

struct Source {
    std::string path;  // for messages
    std::string here;  // the folder that %(here)s means
    std::string text;
};
// What the patterns of [include] match, in order; relative ones count from `here`.
using Includes =
    std::function<Result<std::vector<Source>>(const std::string& here, const std::string& pattern)>;

// supervisord 4.2.5's keys, by its documentation ("Configuration File") and options.py.
Result<Imported> import_supervisord(const Source& source, const Includes& includes);

// One "name: command" a line, run by a shell as foreman (0.87) and Heroku do; `release` goes first.
Result<Imported> import_procfile(const Source& source, bool has_env_file);

// The comment at the head of what comes out.
std::string import_head(const std::string& path,
                        const std::vector<std::string>& remarks,
                        const std::vector<std::string>& left_out);

}  // namespace muster::config
