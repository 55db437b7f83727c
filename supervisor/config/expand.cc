#include "config/expand.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "base/text.h"

namespace muster::config {

namespace {

// A kernel takes no longer string as an argument or in an environment.
constexpr std::size_t longest_text = 131'071;
constexpr int deepest_default = 8;

struct Known {
    std::string_view name;
    std::string Placeholders::*value;
};
constexpr std::array<Known, 11> known{{{"name", &Placeholders::name},
                                       {"pid", &Placeholders::pid},
                                       {"time", &Placeholders::time},
                                       {"rand", &Placeholders::rand},
                                       {"uuid", &Placeholders::uuid},
                                       {"program", &Placeholders::program},
                                       {"process", &Placeholders::process},
                                       {"index", &Placeholders::index},
                                       {"host", &Placeholders::host},
                                       {"service", &Placeholders::service},
                                       {"instance", &Placeholders::instance}}};

// What may stand where: a worker's name is made of all but itself; the rest has it by {name}.
constexpr std::array<std::string_view, 10> in_worker_name{
    "pid", "time", "rand", "uuid", "program", "process", "index", "host", "service", "instance"};
constexpr std::array<std::string_view, 8> in_registrations{"name",  "pid",  "program", "process",
                                                           "index", "host", "service", "instance"};
constexpr std::array<std::string_view, 7> in_others{"name", "program", "process", "index",
                                                    "host", "service", "instance"};

const Known* find(std::string_view name) {
    const auto* found =
        std::find_if(known.begin(), known.end(), [&](const Known& k) { return k.name == name; });
    return found == known.end() ? nullptr : found;
}

bool is_variable_character(char c, bool is_first) {
    return c == '_' || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (!is_first && c >= '0' && c <= '9');
}

std::size_t variable_length(std::string_view text) {
    std::size_t size = 0;
    while (size < text.size() && is_variable_character(text[size], size == 0)) ++size;
    return size;
}

// Where the ${…} that `text` begins with ends (past its brace); npos where it does not.
std::size_t reference_size(std::string_view text) {
    int depth = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text.substr(i, 2) == "${") {
            ++depth;
            ++i;
        } else if (text[i] == '}' && --depth == 0) {
            return i + 1;
        }
    }
    return std::string_view::npos;
}

class Expander {
public:
    Expander(const Environment& environment, Braces braces)
        : environment_(environment), braces_(braces) {}

    Result<std::string> text(std::string_view text, int depth = 0);
    // `text` begins with "${" and is read up to past its end.
    Result<std::string> reference(std::string_view& text, int depth = 0);
    [[nodiscard]] std::string literal_start() const {
        return braces_ == Braces::in_template ? "${{" : "${";
    }

private:
    const Environment& environment_;
    Braces braces_;
};

Error wrong_reference(std::string_view what) {
    return Error{fmt::format("{}", what),
                 "write ${VAR}, ${VAR:-default} or ${VAR:?message}; $${ is a literal ${"};
}

Result<std::string> Expander::reference(std::string_view& text, int depth) {
    const std::size_t size = reference_size(text);
    if (size == std::string_view::npos) return wrong_reference("a ${ without its }");
    if (depth > deepest_default) return wrong_reference("a ${ inside too many others");
    std::string_view inside = text.substr(2, size - 3);
    text.remove_prefix(size);
    const std::string name(inside.substr(0, variable_length(inside)));
    if (name.empty()) return wrong_reference("a ${ without the name of a variable");
    inside.remove_prefix(name.size());
    const std::optional<std::string> value = environment_(name);
    if (value && (inside.empty() || !value->empty())) {
        // Checked after the form of the rest, so that a mistake shows whatever the environment.
        if (!inside.empty() && inside.substr(0, 2) != ":-" && inside.substr(0, 2) != ":?")
            return wrong_reference(fmt::format("${{{}… is neither of the known forms", name));
        return braces_ == Braces::in_template ? as_template(*value) : *value;
    }
    if (inside.empty())
        return Error{fmt::format("the environment has no {}", name),
                     fmt::format("set it, or write ${{{}:-default}}", name)};
    const std::string_view form = inside.substr(0, 2);
    inside.remove_prefix(form.size());
    if (form == ":-") return this->text(inside, depth + 1);
    if (form == ":?")
        return Error{fmt::format("{}: {}", name, inside.empty() ? "is not set, or empty" : inside)};
    return wrong_reference(fmt::format("${{{}… is neither of the known forms", name));
}

Result<std::string> Expander::text(std::string_view text, int depth) {
    std::string out;
    while (!text.empty()) {
        if (text.substr(0, 3) == "$${") {
            out += literal_start();
            text.remove_prefix(3);
        } else if (text.substr(0, 2) == "${") {
            auto value = reference(text, depth);
            if (!value) return value;
            out += *value;
        } else {
            out += text.front();
            text.remove_prefix(1);
        }
        if (out.size() > longest_text)
            return Error{fmt::format("longer than {} characters", longest_text)};
    }
    return out;
}

class Splitter {
public:
    Splitter(std::string_view text, const Environment& environment)
        : text_(text), expander_(environment, Braces::in_template) {}

    Result<std::vector<std::string>> words();

private:
    std::optional<Error> step();
    std::optional<Error> substitute();
    void end_word();
    void add(std::string_view part) {
        word_ += part;
        is_in_word_ = true;
    }
    void add_in_pieces(std::string_view value);

    std::string_view text_;
    Expander expander_;
    std::vector<std::string> words_;
    std::string word_;
    bool is_in_word_ = false;
    char quote_ = 0;  // ', " or none
};

constexpr std::string_view blanks = " \t\r\n";

void Splitter::end_word() {
    if (is_in_word_) words_.push_back(std::exchange(word_, {}));
    is_in_word_ = false;
}

void Splitter::add_in_pieces(std::string_view value) {
    for (const char c : value) {
        if (blanks.find(c) != std::string_view::npos)
            end_word();
        else
            add({&c, 1});
    }
}

std::optional<Error> Splitter::substitute() {
    auto value = expander_.reference(text_);
    if (!value) return value.error();
    if (quote_ != 0)
        add(*value);
    else
        add_in_pieces(*value);
    return std::nullopt;
}

std::optional<Error> Splitter::step() {
    if (text_.starts_with("$${")) {
        text_.remove_prefix(3);
        add(expander_.literal_start());
        return std::nullopt;
    }
    if (text_.starts_with("${")) return substitute();
    const char c = text_.front();
    text_.remove_prefix(1);
    if (c == quote_) {
        quote_ = 0;
    } else if (quote_ == 0 && (c == '\'' || c == '"')) {
        quote_ = c;
        is_in_word_ = true;  // '' is a word
    } else if (c == '\\' && quote_ != '\'') {
        if (text_.empty()) return Error{"a \\ with nothing behind it"};
        const char next = text_.front();
        if (text_.starts_with("${")) {
            add(expander_.literal_start());
            text_.remove_prefix(2);
            return std::nullopt;
        }
        // Inside "…" a backslash escapes only what has a meaning there, as in a shell.
        const bool escapes = quote_ == 0 || next == '"' || next == '\\' || next == '$';
        if (!escapes) add("\\");
        add({&next, 1});
        text_.remove_prefix(1);
    } else if (quote_ == 0 && blanks.find(c) != std::string_view::npos) {
        end_word();
    } else {
        add({&c, 1});
    }
    return std::nullopt;
}

Result<std::vector<std::string>> Splitter::words() {
    while (!text_.empty()) {
        if (auto error = step()) return *error;
        if (word_.size() > longest_text)
            return Error{fmt::format("a word is longer than {} characters", longest_text)};
    }
    if (quote_ != 0) return Error{fmt::format("a {} without its pair", quote_)};
    end_word();
    return std::move(words_);
}

// Calls `literal(text)` and `placeholder(name)` for what `text` consists of; false where a brace
// begins none.
template <class Literal, class Placeholder>
bool scan(std::string_view text, const Literal& literal, const Placeholder& placeholder) {
    while (!text.empty()) {
        const auto brace = std::min(text.find('{'), text.size());
        literal(text.substr(0, brace));
        text.remove_prefix(brace);
        if (text.empty()) return true;
        if (text.starts_with("{{")) {
            literal(std::string_view{"{"});
            text.remove_prefix(2);
            continue;
        }
        const auto end = text.find('}');
        if (end == std::string_view::npos || !placeholder(text.substr(1, end - 1))) return false;
        text.remove_prefix(end + 1);
    }
    return true;
}

bool is_word(std::string_view text) {
    return !text.empty() && text.size() <= 20 && variable_length(text) == text.size();
}

}  // namespace

Result<std::string> expand(std::string_view text, const Environment& environment, Braces braces) {
    if (text.find("${") == std::string_view::npos && text.size() <= longest_text)
        return std::string(text);
    return Expander{environment, braces}.text(text);
}

Result<std::vector<std::string>> split_command(std::string_view text,
                                               const Environment& environment) {
    return Splitter{text, environment}.words();
}

std::string fill(std::string_view text, const Placeholders& values) {
    if (text.find('{') == std::string_view::npos) return std::string(text);
    std::string filled;
    scan(
        text, [&](std::string_view part) { filled += part; },
        [&](std::string_view name) {
            if (const Known* placeholder = find(name)) filled += values.*(placeholder->value);
            return true;
        });
    return filled;
}

bool has_placeholder(std::string_view text, std::string_view name) {
    bool is_there = false;
    scan(
        text, [](std::string_view) {},
        [&](std::string_view found) {
            is_there = is_there || found == name;
            return true;
        });
    return is_there;
}

namespace {

std::span<const std::string_view> allowed_in(Field field) {
    switch (field) {
        case Field::worker_name:
            return in_worker_name;
        case Field::registration:
            return in_registrations;
        case Field::environment:
        case Field::other:
            return in_others;
    }
    return in_others;
}

}  // namespace

std::optional<Error> check_placeholders(std::string_view text, Field field) {
    const std::span<const std::string_view> allowed = allowed_in(field);
    std::optional<Error> error;
    const bool is_whole = scan(
        text, [](std::string_view) {},
        [&](std::string_view name) {
            if (std::find(allowed.begin(), allowed.end(), name) != allowed.end()) return true;
            // What is no word is not repeated: it may be a piece of a secret.
            if (!is_word(name) || field == Field::environment) return false;
            if (find(name) != nullptr) {
                error = Error{fmt::format("{{{}}} cannot stand here", name),
                              field == Field::worker_name
                                  ? "a name is made without itself"
                                  : "it stands only in `name`; {name} has the whole"};
                return false;
            }
            const std::string_view near = nearest(name, allowed);
            error = Error{
                fmt::format("unknown placeholder {{{}}}", name),
                near.empty() ? "write {{ for a brace" : fmt::format("did you mean {{{}}}?", near)};
            return false;
        });
    if (!is_whole && !error)
        error = Error{"a { that begins no placeholder", "write {{ for a brace"};
    return error;
}

std::string as_template(std::string_view text) {
    std::string escaped;
    escaped.reserve(text.size());
    for (const char c : text) escaped.append(c == '{' ? 2 : 1, c);
    return escaped;
}

std::string as_written(std::string_view text, Braces braces) {
    std::string written;
    while (!text.empty()) {
        const bool is_reference = text.starts_with("${");
        if (is_reference)
            written += "$${";
        else
            written.append(text.front() == '{' && braces == Braces::in_template ? 2 : 1,
                           text.front());
        text.remove_prefix(is_reference ? 2 : 1);
    }
    return written;
}

}  // namespace muster::config
