#include "reference/man.h"

#include <fmt/format.h>

#include <span>
#include <string_view>
#include <utility>

#include "reference/keys.h"
#include "reference/verbs.h"
#include "reference/words.h"

namespace muster::reference {

namespace {

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '\\')
            out += "\\e";
        else if (c == '-')
            out += "\\-";
        else if (c == '\'')
            out += "\\(aq";
        else if (c == '^')
            out += "\\(ha";
        else if (c == '~')
            out += "\\(ti";
        else if (c == '`')
            out += "\\(ga";
        else
            out += c;
    }
    return out;
}

class Page {
public:
    Page(std::string_view name, int section, std::string_view does) {
        text_ = ".\\\" Made from the sources: see docs/architecture.md.\n";
        text_ += fmt::format(".TH {} {} \"\" \"muster {}\" \"muster\"\n", escaped(name), section,
                             MUSTER_VERSION);
        this->section("NAME");
        line(fmt::format("{} \\- {}", escaped(name), escaped(does)));
    }

    std::string take() { return std::move(text_); }

    void section(std::string_view title) { text_ += fmt::format(".SH {}\n", escaped(title)); }
    void subsection(std::string_view title) {
        text_ += fmt::format(".SS \"{}\"\n", escaped(title));
    }
    void paragraph(std::string_view text) {
        text_ += ".PP\n";
        line(escaped(text));
    }
    void item(std::string_view what, std::string_view means) {
        text_ += ".TP\n";
        line(fmt::format("\\fB{}\\fR", escaped(what)));
        line(escaped(means));
    }
    void items(std::span<const Word> words) {
        for (const Word& word : words) item(word.word, word.means);
    }
    void code(std::string_view text) {
        text_ += ".PP\n.nf\n.RS 4\n";
        while (!text.empty()) {
            const auto end = std::min(text.find('\n'), text.size());
            line(escaped(text.substr(0, end)));
            text.remove_prefix(std::min(end + 1, text.size()));
        }
        text_ += ".RE\n.fi\n";
    }
    // Written as roff; a dot or a quote in front would be a request.
    void line(std::string_view roff) {
        if (roff.starts_with('.') || roff.starts_with('\'')) text_ += "\\&";
        text_ += roff;
        text_ += '\n';
    }

private:
    std::string text_;
};

void put_verb(Page& page, const Verb& verb) {
    page.subsection("muster " + usage_of(verb));
    page.line(escaped(verb.does) + ".");
    for (const Option& option : verb.options) page.item(spelling_of(option), option.does);
}

std::string with_default(const Key& key) {
    std::string text = fmt::format("{}: {}.", what_it_takes(key), key.does);
    if (key.shape == Shape::table) return std::string(key.does) + ".";
    if (!key.initial.empty()) text += fmt::format(" Default: {}", key.initial);
    if (!key.initial.empty() && !key.initially.empty()) text += fmt::format("; {}", key.initially);
    if (key.initial.empty() && !key.initially.empty() && key.initially != "none")
        text += fmt::format(" Default: {}", key.initially);
    return text.back() == '.' ? text : text + ".";
}

void put_table(Page& page, std::string_view path) {
    page.subsection(fmt::format("[{}]", path));
    for (const Key& key : keys_of(path)) page.item(key.name, with_default(key));
    for (const Key& key : keys_of(path)) {
        const std::string inner = path_of(key);
        if (!keys_of(inner).empty()) put_table(page, inner);
    }
}

}  // namespace

std::string man_of_command() {
    Page page{"muster", 1, "supervises job workers that register themselves in Redis"};
    page.section("SYNOPSIS");
    page.line("\\fBmuster\\fR \\fIVERB\\fR [\\fIOPTIONS\\fR] [\\fIARGUMENTS\\fR]");
    page.section("DESCRIPTION");
    page.line(
        "muster runs job workers as a container\\(aqs entrypoint (PID 1) or beside other things.");
    page.line("It reads one file, muster.toml(5), and is driven over a local control socket.");
    page.line("When a worker dies, it ends what that left running, hands its job back, removes");
    page.line("exactly its registration, and starts a replacement under a new name.");
    page.paragraph("SEL is one of:");
    page.items(selectors);
    page.section("COMMANDS");
    page.line("Each takes \\fB\\-h\\fR, \\fB\\-\\-help\\fR.");
    for (const Verb& verb : all_verbs()) put_verb(page, verb);
    page.section("SIGNALS");
    page.line("To muster run:");
    page.items(signals);
    page.section("EXIT STATUS");
    page.items(exit_codes);
    page.paragraph(run_exit.means);
    page.section("ENVIRONMENT");
    page.items(variables);
    page.section("FILES");
    page.items(files);
    page.section("EXAMPLES");
    page.items(examples);
    page.section("SEE ALSO");
    page.line("muster.toml(5)");
    return page.take();
}

std::string man_of_file() {
    Page page{"muster.toml", 5, "configuration of muster"};
    page.section("DESCRIPTION");
    page.line(
        "A TOML file with a table for each program. An unknown key or value is an error with");
    page.line(
        "line, column and the nearest valid word; \\fBmuster check\\fR tells all of them, and");
    page.line("\\fBmuster check \\-\\-print\\fR what is in effect.");
    page.code(
        "[redis]\n"
        "url = \"${REDIS_URL:-redis://127.0.0.1:6379/0}\"\n"
        "\n"
        "[program.shap]\n"
        "command = \"rq worker shap-jobs --name {name}\"\n"
        "registry = \"rq\"\n"
        "processes = 2");
    page.section("VALUES");
    page.items(value_forms);
    page.section("PLACEHOLDERS");
    page.line("Filled in for each life, in command, environment, directory and log paths:");
    page.items(placeholders);
    page.section("TABLES");
    for (const Key& key : keys_of(""))
        put_table(page, key.shape == Shape::named ? path_of(key) + ".NAME" : path_of(key));
    page.section("SEE ALSO");
    page.line("muster(1)");
    return page.take();
}

}  // namespace muster::reference
