#pragma once
// Every key of muster.toml in words: the one list behind its man page, its JSON Schema and
// docs/configuration.md. What a key accepts is decided in supervisor/config; tests/unit/reference
// holds this list against it.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace muster::reference {

enum class Shape : std::uint8_t {
    text,
    texts,  // an array of them
    table,  // whose keys stand in this list, too
    named,  // tables under names of the author's
    words,  // one of a few
    whole,  // a number from `least` to `most`
    real,   // the same, with a fraction
    boolean,
    duration,
    size,
    command,    // split like by a shell, or an array
    processes,  // a number, or "cpus"
    account,    // a name or a number
    umask,
    after,      // one program or several
    codes,      // exit codes
    ready,      // "registered", or a table with one key
    steps,      // of a stop: one or several
    output,     // a word, or a path
    bound,      // a size or "unlimited", or [soft, hard]
    variables,  // NAME = text or whole number
    fields      // NAME = text
};

struct Key {
    std::string_view table;  // "redis.tls"; "" = the file itself
    std::string_view name;
    Shape shape;
    std::string_view does;            // one line, without a full stop
    std::string_view initial = {};    // the default, as TOML
    std::string_view initially = {};  // in words, where it is none or depends
    std::string_view words = {};      // "always|on-failure|never"
    std::int64_t least = 0;
    std::int64_t most = 0;
};

// In the order in which they are shown, a table's keys together.
std::span<const Key> all_keys();
// Those of one table that act in this version.
std::vector<Key> keys_of(std::string_view table);
std::string path_of(const Key& key);  // "program.NAME.stop"

// Whether the reader of the configuration takes it, or says that it is for a later version.
bool acts(const Key& key);
// The words that it takes in this version.
std::vector<std::string> words_of(const Key& key);
// What may be written, in words: "a duration", "always, on-failure or never".
std::string what_it_takes(const Key& key);

// A line of a file in which `key = value` stands where it belongs.
std::string file_with(const Key& key, std::string_view value);

}  // namespace muster::reference
