#pragma once
// Typed reads from a TOML file that collect every error with its place. The only part that knows
// toml++.
//
// A table is read by a list of its keys: each names what reads it, or that it does not act yet. A
// key that is not in the list is refused with the nearest one that is.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "config/expand.h"
#include "config/load.h"

namespace muster::config {

struct Position {
    int line = 0;
    int column = 0;
    int file = 0;  // in the order of reading
    friend bool operator<(const Position& a, const Position& b) {
        return std::tie(a.file, a.line, a.column) < std::tie(b.file, b.line, b.column);
    }
};

// What all reads of one file, and of those that it includes, share.
class Reading {
public:
    Reading(std::string file, const Environment& env) : environment(env) {
        begin_file(std::move(file));
    }

    void begin_file(std::string name) { files_.push_back(std::move(name)); }
    [[nodiscard]] int file() const { return static_cast<int>(files_.size()) - 1; }
    [[nodiscard]] const std::string& file_name(int file) const {
        return files_[static_cast<std::size_t>(file)];
    }

    void complain(Position where, std::string text);
    void complain_of(std::string source, std::string text);  // not of the file: of $REDIS_URL, …
    [[nodiscard]] bool is_clean() const { return problems_.empty(); }
    std::vector<Problem> take_problems();  // in the files' order

    const Environment& environment;

private:
    std::vector<std::string> files_;
    std::vector<std::pair<Position, Problem>> problems_;
};

inline constexpr std::string_view not_yet = "not supported in this version";

// "; did you mean X?", or nothing where no candidate is near.
std::string suggestion(std::string_view word, std::span<const std::string_view> candidates);

template <class Enum>
struct Choice {
    std::string_view word;
    std::optional<Enum> value;  // none: known, not supported in this version
};

// One value of the file, with the way to it. A loan from the Document that lasts as long as the
// parent value is on the stack.
class Value {
public:
    enum class Kind : std::uint8_t { table, array, text, integer, real, boolean, date };

    Value(const void* node, const void* key, const Value* parent, Reading& reading)
        : node_(node), key_(key), parent_(parent), reading_(reading) {}

    [[nodiscard]] Kind kind() const;
    [[nodiscard]] Position position() const;
    [[nodiscard]] Position key_position() const;
    [[nodiscard]] std::string_view key() const;  // "" of the root and of an array's item
    [[nodiscard]] std::string path() const;      // "program.shap.stop"
    [[nodiscard]] Reading& reading() const { return reading_; }

    void complain(std::string_view what) const;
    void complain(const Error& error) const;
    void complain_of_key(std::string_view what) const;
    // What the file says here, for a complaint; ${…} is shown as written.
    [[nodiscard]] std::string in_quotes() const;

    // Each reads this value as what it says, or complains and yields nothing.
    [[nodiscard]] std::optional<std::string> text(Braces braces = Braces::plain) const;
    [[nodiscard]] std::optional<std::string> filled_text(Field field) const;
    [[nodiscard]] std::optional<std::vector<std::string>> command() const;
    [[nodiscard]] std::optional<std::int64_t> integer(std::int64_t least, std::int64_t most) const;
    template <class Number>
    [[nodiscard]] std::optional<Number> whole(Number least, Number most) const;
    [[nodiscard]] std::optional<double> real(double least, double most) const;
    [[nodiscard]] std::optional<bool> boolean() const;
    [[nodiscard]] std::optional<Duration> duration() const;
    [[nodiscard]] std::optional<std::uint64_t> size() const;  // bytes: a number or "64MB" "1GiB"

    template <class Enum, std::size_t N>
    [[nodiscard]] std::optional<Enum> choice(const Choice<Enum> (&choices)[N]) const;

    [[nodiscard]] bool is_from_environment() const;      // a string with ${…} in it
    [[nodiscard]] bool has(std::string_view key) const;  // as a table
    // In the file's order; false (after a complaint) where this is no table, no array.
    bool each_entry(const std::function<void(const Value&)>& visit) const;
    bool each_item(const std::function<void(const Value&)>& visit) const;

private:
    [[nodiscard]] const std::string* raw_text() const;
    [[nodiscard]] std::optional<std::vector<std::string>> words_in(const std::string& line) const;
    void refuse_word(std::span<const std::string_view> words) const;

    const void* node_;
    const void* key_;
    const Value* parent_;
    Reading& reading_;
};

// The file as a tree; freed as soon as it has been read.
class Document {
public:
    Document();
    Document(Document&&) noexcept;
    Document& operator=(Document&&) noexcept;
    Document(const Document&) = delete;
    Document& operator=(const Document&) = delete;
    ~Document();

    // Nothing where the text is no TOML: that is a complaint, too.
    static std::optional<Document> parse(std::string_view text, Reading& reading);
    [[nodiscard]] Value root(Reading& reading) const;

private:
    struct Tree;
    std::unique_ptr<Tree> tree_;
};

template <class Target>
struct Key {
    std::string_view name;
    void (*read)(const Value& value, Target& target);  // null: not supported in this version
};

// What other supervisors call it, and what it is here.
struct OtherName {
    std::string_view name;
    std::string_view here;
};

// What to say to a key that is none of `known`.
std::string unknown_key(std::string_view key,
                        std::span<const std::string_view> known,
                        std::span<const OtherName> others);

template <class Target>
void read_table(const Value& table,
                Target& target,
                std::span<const Key<Target>> keys,
                std::span<const OtherName> others = {}) {
    table.each_entry([&](const Value& entry) {
        for (const Key<Target>& key : keys) {
            if (key.name != entry.key()) continue;
            if (key.read != nullptr)
                key.read(entry, target);
            else
                entry.complain_of_key(not_yet);
            return;
        }
        std::vector<std::string_view> known;
        for (const Key<Target>& key : keys) known.push_back(key.name);
        entry.complain_of_key(unknown_key(entry.key(), known, others));
    });
}

template <class Number>
std::optional<Number> Value::whole(Number least, Number most) const {
    const auto number = integer(least, most);
    return number ? std::optional<Number>(static_cast<Number>(*number)) : std::nullopt;
}

template <class Enum, std::size_t N>
std::optional<Enum> Value::choice(const Choice<Enum> (&choices)[N]) const {
    const auto word = text();
    if (!word) return std::nullopt;
    std::vector<std::string_view> words;
    for (const Choice<Enum>& choice : choices) {
        if (choice.word == *word) {
            if (!choice.value) complain(in_quotes() + " is " + std::string(not_yet));
            return choice.value;
        }
        if (choice.value) words.push_back(choice.word);
    }
    refuse_word(words);
    return std::nullopt;
}

}  // namespace muster::config
