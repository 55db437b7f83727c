#include "config/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/text.h"

// Header-only: the shared library is built with exceptions, and would be one more file to load.
#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
// toml++ 3.3 takes for granted that a key begins well, which "[.a]" does not: an abort with
// assertions, undefined behaviour with NDEBUG. Without either the very next lines refuse it.
#undef NDEBUG
#define TOML_ASSERT(expression) static_assert(true)
#include <toml++/toml.h>

namespace muster::config {

namespace {

constexpr std::size_t most_problems = 1000;
constexpr std::size_t longest_quote = 60;

const toml::node& node_of(const void* node) {
    return *static_cast<const toml::node*>(node);
}

Position position_of(const toml::source_region& source, int file) {
    return {static_cast<int>(source.begin.line), static_cast<int>(source.begin.column), file};
}

// toml++ 3.3 nests a table for each part of a dotted key without a bound, and unwinds them by
// recursion: a line of dots would end us by a full stack. No honest line has so many.
std::optional<Position> line_of_dots(std::string_view text) {
    constexpr int most_dots = 1000;
    int line = 1;
    int dots = 0;
    for (const char c : text) {
        if (c == '\n') {
            ++line;
            dots = 0;
        } else if (c == '.' && ++dots > most_dots) {
            return Position{line, 1, 0};
        }
    }
    return std::nullopt;
}

bool is_foreign(char c) {
    return static_cast<unsigned char>(c) >= 0x80;
}

// Where a character other than ASCII stands that is neither quoted nor in a comment, and what is
// wrong with it there. TOML has none in such places, but toml++ (3.3 and 3.4) asks whether it is a
// space, and takes for granted that most of them are not asked about (undefined behaviour).
class PlainText {
public:
    explicit PlainText(std::string_view text) : text_(text) {
        constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
        if (text_.starts_with(byte_order_mark)) at_ = word_ = byte_order_mark.size();
    }

    std::optional<std::pair<Position, std::string_view>> first_foreign() {
        while (at_ < text_.size()) {
            const std::string_view wrong = quote_.empty() ? plain() : quoted();
            if (!wrong.empty()) return std::pair{position(), wrong};
        }
        return std::nullopt;
    }

private:
    // Each moves on by one thing, or stays and says what is wrong with it.
    std::string_view plain() {
        const char c = text_[at_];
        if (is_foreign(c))
            return "a character that is not ASCII may stand only in quotes or after #";
        const bool is_in_number = begins_number();
        const std::string_view ends = is_in_number ? " \t\r\n]},#" : " \t\r\n=[]{},#";
        if (ends.find(c) != std::string_view::npos) word_ = at_ + 1;
        if (c == '#') {
            at_ = std::min(text_.find('\n', at_), text_.size());
        } else if ((c == '"' || c == '\'') && !is_in_number) {
            const std::string three(3, c);
            quote_ = text_.substr(at_, text_.substr(at_).starts_with(three) ? 3 : 1);
            at_ += quote_.size();
            word_ = at_;
        } else {
            ++at_;
        }
        return {};
    }
    std::string_view quoted() {
        const char c = text_[at_];
        if (text_.substr(at_).starts_with(quote_)) {
            at_ += quote_.size();
            word_ = at_;
            quote_ = {};
        } else if (c == '\n' && quote_.size() == 1) {
            quote_ = {};  // never closed: toml++ will say so
        } else if (c == '\\' && quote_.front() == '"') {
            return escaped();
        } else {
            ++at_;
        }
        return {};
    }
    std::string_view escaped() {
        ++at_;
        const std::size_t next = text_.find_first_not_of(" \t\r\n", at_);
        if (quote_.size() == 3 && next != text_.npos && is_foreign(text_[next])) {
            at_ = next;
            return "a character that is not ASCII cannot stand right after a line that ends in a "
                   "backslash; put it on that line";
        }
        at_ = std::min(at_ + 1, text_.size());
        return {};
    }

    // What begins like a number or a date is read up to its end, and a quote in it is none.
    [[nodiscard]] bool begins_number() const {
        return word_ < at_ &&
               std::string_view{"0123456789+-"}.find(text_[word_]) != std::string_view::npos;
    }
    [[nodiscard]] Position position() const {
        const std::string_view before = text_.substr(0, at_);
        const auto lines = std::count(before.begin(), before.end(), '\n');
        const auto start = before.rfind('\n') + 1;  // npos + 1 is 0
        return {static_cast<int>(lines) + 1, static_cast<int>(at_ - start) + 1};
    }

    std::string_view text_;
    std::size_t at_ = 0;
    std::size_t word_ = 0;    // where the one that at_ is in begins; at_ itself: in none
    std::string_view quote_;  // the one that is open
};

std::string_view noun(Value::Kind kind) {
    switch (kind) {
        case Value::Kind::table:
            return "a table";
        case Value::Kind::array:
            return "an array";
        case Value::Kind::text:
            return "a string";
        case Value::Kind::integer:
            return "a number";
        case Value::Kind::real:
            return "a number with a fraction";
        case Value::Kind::boolean:
            return "true or false";
        case Value::Kind::date:
            return "a date or time";
    }
    return "";
}

template <class Number>
std::optional<Number> parsed(std::string_view text) {
    Number number{};
    const auto [rest, code] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (code != std::errc{} || rest != text.data() + text.size()) return std::nullopt;
    return number;
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
    struct Unit {
        std::string_view suffix;
        std::uint64_t bytes;
    };
    constexpr std::uint64_t k = 1000;
    constexpr std::uint64_t ki = 1024;
    constexpr Unit units[] = {{"", 1},
                              {"B", 1},
                              {"KB", k},
                              {"MB", k * k},
                              {"GB", k * k * k},
                              {"TB", k * k * k * k},
                              {"KiB", ki},
                              {"MiB", ki * ki},
                              {"GiB", ki * ki * ki},
                              {"TiB", ki * ki * ki * ki}};
    const auto digits = std::min(text.find_first_not_of("0123456789"), text.size());
    const auto number = parsed<std::uint64_t>(text.substr(0, digits));
    const auto suffix = trimmed(text.substr(digits));
    if (!number) return std::nullopt;
    for (const Unit& unit : units) {
        if (unit.suffix != suffix) continue;
        if (*number > std::numeric_limits<std::uint64_t>::max() / unit.bytes) return std::nullopt;
        return *number * unit.bytes;
    }
    return std::nullopt;
}

}  // namespace

void Reading::complain(Position where, std::string text) {
    if (problems_.size() < most_problems)
        problems_.push_back(
            {where, {file_name(where.file), where.line, where.column, std::move(text)}});
}

void Reading::complain_of(std::string source, std::string text) {
    problems_.push_back({Position{}, {std::move(source), 0, 0, std::move(text)}});
}

std::vector<Problem> Reading::take_problems() {
    std::stable_sort(problems_.begin(), problems_.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<Problem> problems;
    for (auto& [where, problem] : problems_) problems.push_back(std::move(problem));
    return problems;
}

std::string suggestion(std::string_view word, std::span<const std::string_view> candidates) {
    const std::string_view near = nearest(word, candidates);
    return near.empty() ? std::string{} : fmt::format("; did you mean {}?", near);
}

std::string unknown_key(std::string_view key,
                        std::span<const std::string_view> known,
                        std::span<const OtherName> others) {
    std::vector<std::string_view> names(known.begin(), known.end());
    for (const OtherName& other : others) names.push_back(other.name);
    std::string_view near = nearest(key, names);
    for (const OtherName& other : others) {
        if (other.name == near) near = other.here;
    }
    if (!near.empty()) return fmt::format("unknown key; did you mean {}?", near);
    if (known.size() <= 12) return fmt::format("unknown key; known are {}", fmt::join(known, ", "));
    return "unknown key";
}

Value::Kind Value::kind() const {
    switch (node_of(node_).type()) {
        case toml::node_type::none:
        case toml::node_type::table:
            return Kind::table;
        case toml::node_type::array:
            return Kind::array;
        case toml::node_type::string:
            return Kind::text;
        case toml::node_type::integer:
            return Kind::integer;
        case toml::node_type::floating_point:
            return Kind::real;
        case toml::node_type::boolean:
            return Kind::boolean;
        case toml::node_type::date:
        case toml::node_type::time:
        case toml::node_type::date_time:
            return Kind::date;
    }
    return Kind::date;
}

Position Value::position() const {
    return position_of(node_of(node_).source(), reading_.file());
}

Position Value::key_position() const {
    if (key_ == nullptr) return position();
    return position_of(static_cast<const toml::key*>(key_)->source(), reading_.file());
}

std::string_view Value::key() const {
    return key_ == nullptr ? std::string_view{} : static_cast<const toml::key*>(key_)->str();
}

std::string Value::path() const {
    if (parent_ == nullptr) return {};
    std::string way = parent_->path();
    if (key_ == nullptr) return way;  // an item is told apart by its column
    if (!way.empty()) way += '.';
    // A key may be any text: control characters and endless ones must not reach a terminal.
    for (const char c : key().substr(0, longest_quote))
        way += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
    return way;
}

void Value::complain(std::string_view what) const {
    const std::string way = path();
    reading_.complain(position(),
                      way.empty() ? std::string(what) : fmt::format("{}: {}", way, what));
}

void Value::complain(const Error& error) const {
    complain(error.hint().empty() ? error.message()
                                  : fmt::format("{}; {}", error.message(), error.hint()));
}

void Value::complain_of_key(std::string_view what) const {
    reading_.complain(key_position(), fmt::format("{}: {}", path(), what));
}

const std::string* Value::raw_text() const {
    const auto* text = node_of(node_).as_string();
    return text == nullptr ? nullptr : &text->get();
}

std::string Value::in_quotes() const {
    const std::string* raw = raw_text();
    if (raw == nullptr) return std::string(noun(kind()));
    std::string shown = raw->substr(0, longest_quote);
    for (char& c : shown) c = static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
    return fmt::format("'{}{}'", shown, raw->size() > longest_quote ? "…" : "");
}

std::optional<std::string> Value::text(Braces braces) const {
    const std::string* raw = raw_text();
    if (raw == nullptr) {
        complain(fmt::format("is {}, but must be a string", noun(kind())));
        return std::nullopt;
    }
    auto expanded = expand(*raw, reading_.environment, braces);
    if (!expanded) {
        complain(expanded.error());
        return std::nullopt;
    }
    // U+0001 stands for a child's own pid while it is made, and no system call takes a NUL.
    if (expanded->find_first_of(std::string_view{"\0\1", 2}) != std::string::npos) {
        complain("has a control character (U+0000 or U+0001) in it");
        return std::nullopt;
    }
    return std::move(*expanded);
}

std::optional<std::string> Value::filled_text(Field field) const {
    auto found = text(Braces::in_template);
    if (!found) return found;
    if (const auto error = check_placeholders(*found, field)) {
        complain(*error);
        return std::nullopt;
    }
    return found;
}

// Of a command in one line; each complaint of it is told.
std::optional<std::vector<std::string>> Value::words_in(const std::string& line) const {
    auto words = split_command(line, reading_.environment);
    if (!words) {
        complain(words.error());
        return std::nullopt;
    }
    bool is_good = true;
    for (const std::string& word : *words) {
        auto error = check_placeholders(word, Field::other);
        if (word.find_first_of(std::string_view{"\0\1", 2}) != std::string::npos)
            error = Error{"has a control character (U+0000 or U+0001) in it"};
        if (error) complain(*error);
        is_good = is_good && !error;
    }
    if (!is_good) return std::nullopt;
    return std::move(*words);
}

std::optional<std::vector<std::string>> Value::command() const {
    std::vector<std::string> words;
    bool is_good = true;
    if (const std::string* raw = raw_text()) {
        auto split = words_in(*raw);
        is_good = split.has_value();
        if (split) words = std::move(*split);
    } else if (kind() == Kind::array) {
        each_item([&](const Value& item) {
            auto word = item.filled_text(Field::other);
            is_good = is_good && word;
            if (word) words.push_back(std::move(*word));
        });
    } else {
        complain(fmt::format("is {}, but must be a string or an array of strings", noun(kind())));
        return std::nullopt;
    }
    if (!is_good) return std::nullopt;
    if (words.empty() || words.front().empty()) {
        complain("names no command to run");
        return std::nullopt;
    }
    return words;
}

bool Value::is_from_environment() const {
    const std::string* raw = raw_text();
    return raw != nullptr && raw->find("${") != std::string::npos;
}

bool Value::has(std::string_view key) const {
    const auto* table = node_of(node_).as_table();
    return table != nullptr && table->contains(key);
}

// A string that comes from the environment may be a number: processes = "${WORKERS:-2}".
std::optional<std::int64_t> Value::integer(std::int64_t least, std::int64_t most) const {
    std::optional<std::int64_t> number;
    if (const auto* found = node_of(node_).as_integer()) {
        number = found->get();
    } else if (is_from_environment()) {
        const auto digits = text();
        if (!digits) return std::nullopt;
        number = parsed<std::int64_t>(*digits);
    }
    if (!number)
        complain(fmt::format("is {}, but must be a whole number",
                             kind() == Kind::text ? in_quotes() : noun(kind())));
    else if (*number < least || *number > most)
        complain(fmt::format("must be from {} to {}", least, most));
    else
        return number;
    return std::nullopt;
}

std::optional<double> Value::real(double least, double most) const {
    const auto number = node_of(node_).value<double>();
    if (!number || !node_of(node_).is_number())
        complain(fmt::format("is {}, but must be a number", noun(kind())));
    else if (!(*number >= least && *number <= most))
        complain(fmt::format("{} is not from {} to {}", *number, least, most));
    else
        return number;
    return std::nullopt;
}

std::optional<bool> Value::boolean() const {
    if (const auto* found = node_of(node_).as_boolean()) return found->get();
    if (is_from_environment()) {
        const auto word = text();
        if (!word) return std::nullopt;
        if (*word == "true") return true;
        if (*word == "false") return false;
    }
    complain(fmt::format("is {}, but must be true or false",
                         kind() == Kind::text ? in_quotes() : noun(kind())));
    return std::nullopt;
}

std::optional<Duration> Value::duration() const {
    std::string written;
    if (const auto* whole = node_of(node_).as_integer()) {
        written = fmt::format("{}", whole->get());
    } else if (const auto* number = node_of(node_).as_floating_point()) {
        written = fmt::format("{:.9f}", number->get());
    } else if (raw_text() != nullptr) {
        auto found = text();
        if (!found) return std::nullopt;
        written = std::move(*found);
    } else {
        complain(
            fmt::format("is {}, but must be a duration: 250ms, 10s, 5m, 1h or a number of seconds",
                        noun(kind())));
        return std::nullopt;
    }
    const auto length = parse_duration(written);
    if (length) return *length;
    // The error repeats its text: what ${…} stands for is not shown.
    if (raw_text() != nullptr && written != *raw_text())
        complain(fmt::format("{} is no duration", in_quotes()));
    else
        complain(length.error());
    return std::nullopt;
}

std::optional<std::uint64_t> Value::size() const {
    if (raw_text() == nullptr) {
        const auto number = integer(0, std::numeric_limits<std::int64_t>::max());
        if (!number) return std::nullopt;
        return static_cast<std::uint64_t>(*number);
    }
    const auto written = text();
    if (!written) return std::nullopt;
    const auto bytes = parse_size(*written);
    if (!bytes)
        complain(
            fmt::format("{} is not a size; write a number of bytes, 64MB or 1GiB", in_quotes()));
    return bytes;
}

void Value::refuse_word(std::span<const std::string_view> words) const {
    const auto word = text();
    const std::string_view near = word ? nearest(*word, words) : std::string_view{};
    if (near.empty())
        complain(fmt::format("{} is not one of {}", in_quotes(), fmt::join(words, ", ")));
    else
        complain(fmt::format("{} is not one of {}; did you mean {}?", in_quotes(),
                             fmt::join(words, ", "), near));
}

bool Value::each_entry(const std::function<void(const Value&)>& visit) const {
    const auto* table = node_of(node_).as_table();
    if (table == nullptr) {
        complain(fmt::format("is {}, but must be a table", noun(kind())));
        return false;
    }
    // toml++ sorts by name; the order of programs is the file's.
    std::vector<Value> entries;
    entries.reserve(table->size());
    for (auto&& [key, node] : *table) entries.emplace_back(&node, &key, this, reading_);
    std::vector<std::size_t> order(entries.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return entries[a].key_position() < entries[b].key_position();
    });
    for (const std::size_t i : order) visit(entries[i]);
    return true;
}

bool Value::each_item(const std::function<void(const Value&)>& visit) const {
    const auto* array = node_of(node_).as_array();
    if (array == nullptr) {
        complain(fmt::format("is {}, but must be an array", noun(kind())));
        return false;
    }
    for (const toml::node& item : *array) visit(Value{&item, nullptr, this, reading_});
    return true;
}

struct Document::Tree {
    toml::table table;
};

Document::Document() = default;
Document::Document(Document&&) noexcept = default;
Document& Document::operator=(Document&&) noexcept = default;
Document::~Document() = default;

std::optional<Document> Document::parse(std::string_view text, Reading& reading) {
    if (const auto where = line_of_dots(text)) {
        reading.complain({where->line, where->column, reading.file()},
                         "more than 1000 dots in one line");
        return std::nullopt;
    }
    const bool is_ascii = std::none_of(text.begin(), text.end(), is_foreign);
    if (const auto foreign = is_ascii ? std::nullopt : PlainText{text}.first_foreign()) {
        reading.complain(foreign->first, std::string(foreign->second));
        return std::nullopt;
    }
    toml::parse_result result = toml::parse(text);
    if (!result) {
        const Position where = position_of(result.error().source(), reading.file());
        std::string what(result.error().description());
        if (text.find("[program:") != std::string_view::npos &&
            what.find("saw ':'") != std::string::npos)
            what += "; write [program.NAME], with a dot";
        reading.complain(where, std::move(what));
        return std::nullopt;
    }
    Document document;
    document.tree_ = std::make_unique<Tree>(Tree{std::move(result).table()});
    return document;
}

Value Document::root(Reading& reading) const {
    return Value{static_cast<const toml::node*>(&tree_->table), nullptr, nullptr, reading};
}

}  // namespace muster::config
