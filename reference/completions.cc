#include "reference/completions.h"

#include <fmt/format.h>

#include <string_view>
#include <vector>

#include "base/text.h"
#include "reference/verbs.h"

namespace muster::reference {

namespace {

constexpr std::string_view made = "# Made from the sources: see docs/architecture.md.\n";
constexpr std::string_view signal_names = "HUP INT QUIT KILL USR1 USR2 TERM CONT STOP TSTP WINCH";

// What stands for a value, and so what is offered for it.
enum class Offer { nothing, choices, files, names, programs, signals };

Offer offer_of(const Option& option) {
    if (!choices_of(option).empty()) return Offer::choices;
    if (option.value == "FILE" || option.value == "PATH" || option.value == "OUT")
        return Offer::files;
    if (option.value == "SEL") return Offer::names;
    if (option.value == "SIZE") return Offer::programs;
    if (option.value == "SIG") return Offer::signals;
    return Offer::nothing;
}

std::string spaced(const std::vector<std::string>& words) {
    return joined(words, " ");
}

std::string bash_offer(const Option& option) {
    switch (offer_of(option)) {
        case Offer::nothing:
            return ":";
        case Offer::choices:
            return fmt::format("_muster_offer \"{}\"", spaced(choices_of(option)));
        case Offer::files:
            return "_muster_offer_files";
        case Offer::names:
            return "_muster_offer \"all $(_muster_names 'id|program|group')\"";
        case Offer::programs:
            return "_muster_offer \"$(_muster_names program | sed 's/$/=/')\"; compopt -o nospace";
        case Offer::signals:
            return fmt::format("_muster_offer \"{}\"", signal_names);
    }
    return ":";
}

constexpr std::string_view bash_head = R"sh(
# The names that the running supervisor has: KEY|KEY of its status.
_muster_names() {
    local i socket=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in -s | --socket) socket=(-s "${COMP_WORDS[i + 1]}") ;; esac
    done
    "${COMP_WORDS[0]}" status --json ${socket[@]+"${socket[@]}"} 2>/dev/null </dev/null |
        grep -oE "\"($1)\": ?\"[^\"]+\"" | sed -E 's/^[^:]*: ?"//; s/"$//' | sort -u
}

_muster_offer() {
    local IFS=$' \t\n'
    COMPREPLY=($(compgen -W "$1" -- "${COMP_WORDS[COMP_CWORD]}"))
}

_muster_offer_files() {
    local IFS=$'\n'
    compopt -o filenames 2>/dev/null
    COMPREPLY=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))
}

_muster() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} verb= i place=0
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case $verb:${COMP_WORDS[i]} in
            run:--) COMPREPLY=($(compgen -c -- "$word")); return ;;
            VALUED) i=$((i + 1)) ;;
            *:-*) ;;
            :*) verb=${COMP_WORDS[i]} ;;
            *) place=$((place + 1)) ;;
        esac
    done
    case $before in -s | --socket) _muster_offer_files; return ;; esac
)sh";

std::string bash_pattern(const Option& option) {
    return joined(option.names, " | ");
}

// After an option that takes a value stands that value.
std::string bash_values(const std::vector<Verb>& verbs) {
    std::string text = "    case $verb in\n";
    for (const Verb& verb : verbs) {
        std::string cases;
        for (const Option& option : verb.options) {
            if (option.value.empty() || option.names.back() == "--socket") continue;
            cases += fmt::format("                {}) {}; return ;;\n", bash_pattern(option),
                                 bash_offer(option));
        }
        if (cases.empty()) continue;
        text += fmt::format("        {})\n            case $before in\n{}            esac ;;\n",
                            verb.name, cases);
    }
    return text + "    esac\n";
}

// The options whose next word is theirs.
std::string bash_valued(const std::vector<Verb>& verbs) {
    std::string text = "*:-s | *:--socket";
    for (const Verb& verb : verbs) {
        for (const Option& option : verb.options) {
            if (option.value.empty() || option.names.back() == "--socket") continue;
            for (const std::string& name : option.names)
                text += fmt::format(" | {}:{}", verb.name, name);
        }
    }
    return text;
}

std::string all_options(const Verb& verb) {
    std::string text = "-h --help";
    for (const Option& option : verb.options) text += " " + spaced(option.names);
    return text;
}

std::string bash_words(const std::vector<Verb>& verbs) {
    std::string names;
    for (const Verb& verb : verbs) names += (names.empty() ? "" : " ") + verb.name;
    std::string text = fmt::format(
        "    case $verb in\n"
        "        '')\n"
        "            case $word in\n"
        "                -*) _muster_offer \"-h --help -V --version -s --socket\" ;;\n"
        "                *) _muster_offer \"{}\" ;;\n"
        "            esac ;;\n",
        names);
    for (const Verb& verb : verbs) {
        text += fmt::format("        {})\n            case $word:$place in\n", verb.name);
        text += fmt::format("                -*) _muster_offer \"{}\" ;;\n", all_options(verb));
        int place = 0;
        for (const Option& word : verb.words) {
            text += word.is_repeated
                        ? fmt::format("                *) {} ;;\n", bash_offer(word))
                        : fmt::format("                *:{}) {} ;;\n", place, bash_offer(word));
            ++place;
        }
        text += "            esac ;;\n";
    }
    return text + "    esac\n";
}

std::string in_quotes(std::string_view text) {
    std::string out = "'";
    for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + "'";
}

// In a spec of _arguments these would end the words.
std::string zsh_plain(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
        out += c;
    }
    return out;
}

std::string zsh_offer(const Option& option) {
    switch (offer_of(option)) {
        case Offer::nothing:
            return "";
        case Offer::choices:
            return fmt::format("({})", spaced(choices_of(option)));
        case Offer::files:
            return "_files";
        case Offer::names:
            return "_muster_selectors";
        case Offer::programs:
            return "_muster_programs";
        case Offer::signals:
            return fmt::format("({})", signal_names);
    }
    return "";
}

std::string zsh_option(const Option& option) {
    std::string tail = fmt::format("[{}]", zsh_plain(option.does));
    if (!option.value.empty())
        tail += fmt::format(":{}:{}", zsh_plain(option.value), zsh_offer(option));
    if (option.names.size() == 1) return in_quotes(option.names.front() + tail);
    return fmt::format("'({})'{{{}}}{}", spaced(option.names), joined(option.names, ","),
                       in_quotes(tail));
}

constexpr std::string_view zsh_head = R"sh(
# The names that the running supervisor has: KEY|KEY of its status, then options of compadd.
_muster_names() {
    local found
    local -a socket names
    [[ -n $muster_socket ]] && socket=(-s $muster_socket)
    found=$(muster status --json $socket 2>/dev/null </dev/null |
        grep -oE "\"($1)\": ?\"[^\"]+\"" | sed -E 's/^[^:]*: ?"//; s/"$//' | sort -u)
    names=(${(f)found})
    shift
    compadd "$@" -a names
}

_muster_selectors() {
    compadd all
    _muster_names 'id|program|group'
}

_muster_programs() {
    _muster_names program -S =
}

_muster() {
    local curcontext=$curcontext state line muster_socket
    typeset -A opt_args
    muster_socket=${${words[(r)(-s|--socket)]:+${words[${words[(i)(-s|--socket)]}+1]}}}
    _arguments -C '(- *)'{-h,--help}'[tells how it is used]' \
        '(- *)'{-V,--version}'[shows the version]' \
        '(-s --socket)'{-s,--socket}'[the control socket]:PATH:_files' '1: :->verb' '*:: :->rest'
    case $state in
        verb)
            local -a verbs
            verbs=(
)sh";

constexpr std::string_view fish_head = R"sh(
# The names that the running supervisor has: KEY|KEY of its status.
function __muster_names
    set -l socket
    set -l words (commandline -opc)
    for i in (seq (count $words))
        switch $words[$i]
            case -s --socket
                set socket -s $words[(math $i + 1)]
        end
    end
    muster status --json $socket 2>/dev/null </dev/null |
        string match -rga '"(?:'$argv[1]')": ?"([^"]+)"' | sort -u
end

complete -c muster -f
complete -c muster -n __fish_use_subcommand -s h -l help -d 'tells how it is used'
complete -c muster -n __fish_use_subcommand -s V -l version -d 'shows the version'
)sh";

std::string fish_offer(const Option& option) {
    switch (offer_of(option)) {
        case Offer::nothing:
            return " -x";
        case Offer::choices:
            return fmt::format(" -xa '{}'", spaced(choices_of(option)));
        case Offer::files:
            return " -rF";
        case Offer::names:
            return " -xa \"all (__muster_names 'id|program|group')\"";
        case Offer::programs:
            return " -xa \"(__muster_names program)=\"";
        case Offer::signals:
            return fmt::format(" -xa '{}'", signal_names);
    }
    return "";
}

std::string fish_option(const std::string& condition, const Option& option) {
    std::string text = fmt::format("complete -c muster -n '{}'", condition);
    for (const std::string& name : option.names)
        text += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
    if (!option.value.empty()) text += fish_offer(option);
    return text + fmt::format(" -d {}\n", in_quotes(option.does));
}

}  // namespace

std::string completion_for_bash() {
    const std::vector<Verb> verbs = all_verbs();
    std::string head{bash_head};
    constexpr std::string_view place = "VALUED";
    head.replace(head.find(place), place.size(), bash_valued(verbs));
    std::string text = "# bash completion for muster\n";
    text += made;
    text += head;
    text += bash_values(verbs);
    text += bash_words(verbs);
    return text + "}\n\ncomplete -F _muster muster\n";
}

std::string completion_for_zsh() {
    const std::vector<Verb> verbs = all_verbs();
    std::string text = "#compdef muster\n";
    text += made;
    text += zsh_head;
    for (const Verb& verb : verbs)
        text +=
            fmt::format("                {}\n", in_quotes(verb.name + ":" + zsh_plain(verb.does)));
    text +=
        "            )\n            _describe -t verbs verb verbs ;;\n        rest)\n"
        "            case $words[1] in\n";
    for (const Verb& verb : verbs) {
        text += fmt::format(
            "                {})\n                    _arguments "
            "'(- *)'{{-h,--help}}'[tells how it is used]'",
            verb.name);
        const std::string next = " \\\n                        ";
        for (const Option& option : verb.options) text += next + zsh_option(option);
        for (const Option& word : verb.words)
            text += next + in_quotes(fmt::format("{}:{}:{}", word.is_repeated ? "*" : "",
                                                 zsh_plain(word.value), zsh_offer(word)));
        if (verb.name == "run") text += next + "'*:: :_normal'";
        text += " ;;\n";
    }
    return text + "            esac ;;\n    esac\n}\n\n_muster \"$@\"\n";
}

std::string completion_for_fish() {
    const std::vector<Verb> verbs = all_verbs();
    std::string text = "# fish completion for muster\n";
    text += made;
    text += fish_head;
    for (const Verb& verb : verbs)
        text += fmt::format("complete -c muster -n __fish_use_subcommand -a {} -d {}\n", verb.name,
                            in_quotes(verb.does));
    text +=
        "complete -c muster -n __fish_use_subcommand -s s -l socket -rF -d 'the control "
        "socket'\n";
    for (const Verb& verb : verbs) {
        const std::string condition = "__fish_seen_subcommand_from " + verb.name;
        text += fmt::format("complete -c muster -n '{}' -s h -l help -d 'tells how it is used'\n",
                            condition);
        for (const Option& option : verb.options) text += fish_option(condition, option);
        for (const Option& word : verb.words) text += fish_option(condition, word);
    }
    return text;
}

}  // namespace muster::reference
