#include "config/expand.h"

#include "fixture.h"

namespace muster::config {
namespace {

const Environment environment =
    environment_of({{"A", "one"}, {"EMPTY", ""}, {"WORDS", "x  'y z'"}, {"BRACE", "{name}"}});

std::string expanded(std::string_view text, Braces braces = Braces::plain) {
    const auto result = expand(text, environment, braces);
    return result ? *result : "error: " + result.error().message();
}

std::vector<std::string> words(std::string_view text) {
    const auto result = split_command(text, environment);
    if (!result) return {"error", result.error().message()};
    return *result;
}

using Words = std::vector<std::string>;

TEST_CASE("a variable is taken anywhere in a string") {
    CHECK(expanded("${A}") == "one");
    CHECK(expanded("<${A}-${A}>") == "<one-one>");
    CHECK(expanded("no $A here, $ and $} stay") == "no $A here, $ and $} stay");
    CHECK(expanded("${EMPTY}") == "");
}

TEST_CASE("a default stands in for a variable that is not set or empty, and may hold another") {
    CHECK(expanded("${NONE:-x}") == "x");
    CHECK(expanded("${EMPTY:-x}") == "x");
    CHECK(expanded("${A:-x}") == "one");
    CHECK(expanded("${NONE:-}") == "");
    CHECK(expanded("${NONE:-<${A}>}") == "<one>");
    CHECK(expanded("${NONE:-${OTHER:-deep}}!") == "deep!");
}

TEST_CASE("a variable that must be there is told by name or by its message") {
    CHECK(has(expanded("${NONE}"), "the environment has no NONE"));
    CHECK(has(expanded("${NONE:?set it in the pod}"), "NONE: set it in the pod"));
    CHECK(has(expanded("${EMPTY:?}"), "EMPTY: is not set, or empty"));
    CHECK(expanded("${A:?never}") == "one");
}

TEST_CASE("a broken reference is refused") {
    for (const char* text : {"${", "${A", "${}", "${1}", "${A-x}", "${A:x}", "${ A}", "${NONE-x}"})
        CHECK_MESSAGE(expanded(text).starts_with("error: "), text);
    std::string deep = "x";
    for (int i = 0; i < 20; ++i) deep = "${NONE:-" + deep + "}";
    CHECK(expanded(deep).starts_with("error: "));
}

TEST_CASE("a doubled dollar is a literal reference") {
    CHECK(expanded("$${A}") == "${A}");
    CHECK(fill(expanded("$${A}", Braces::in_template), {}) == "${A}");
}

TEST_CASE("a brace from the environment is data, not a placeholder") {
    CHECK(expanded("${BRACE}") == "{name}");
    CHECK(expanded("${BRACE}", Braces::in_template) == "{{name}");
    CHECK(fill(expanded("${BRACE} {name}", Braces::in_template), {.name = "n"}) == "{name} n");
}

TEST_CASE("what grows beyond what a kernel takes is refused") {
    const Environment large = environment_of({{"L", std::string(100'000, 'x')}});
    CHECK(expand("${L}", large, Braces::plain).ok());
    CHECK_FALSE(expand("${L}${L}", large, Braces::plain).ok());
    CHECK_FALSE(split_command("${L}${L}", large).ok());
    CHECK_FALSE(expand(std::string(200'000, 'x'), large, Braces::plain).ok());
}

TEST_CASE("a command is split like a shell does") {
    CHECK(words("rq  worker\tq\n") == Words{"rq", "worker", "q"});
    CHECK(words("a 'b c' \"d e\" f\\ g") == Words{"a", "b c", "d e", "f g"});
    CHECK(words("--save ''") == Words{"--save", ""});
    CHECK(words("a\"b\"'c'd") == Words{"abcd"});
    CHECK(words(R"("a\"b" "c\\d" "e\f" 'g\h')") == Words{"a\"b", "c\\d", "e\\f", "g\\h"});
    CHECK(words("a | b > c") == Words{"a", "|", "b", ">", "c"});
    CHECK(words("").empty());
    CHECK(words("  ").empty());
}

TEST_CASE("a command with a quote or a backslash left open is refused") {
    CHECK(words("a 'b") == Words{"error", "a ' without its pair"});
    CHECK(words("a \"b") == Words{"error", "a \" without its pair"});
    CHECK(words("a \\") == Words{"error", "a \\ with nothing behind it"});
    CHECK(words("a ${B") == Words{"error", "a ${ without its }"});
}

TEST_CASE("a variable in a command is split where it is not quoted") {
    CHECK(words("run ${WORDS}") == Words{"run", "x", "'y", "z'"});
    CHECK(words("run \"${WORDS}\"") == Words{"run", "x  'y z'"});
    CHECK(words("run '${A}'") == Words{"run", "one"});
    CHECK(words("run ${EMPTY} x") == Words{"run", "x"});
    CHECK(words("run \"${EMPTY}\"") == Words{"run", ""});
    CHECK(words("run -${A}-") == Words{"run", "-one-"});
}

TEST_CASE("a reference for the command's own shell can be written") {
    CHECK(words("sh -c 'echo $${HOME}'") == Words{"sh", "-c", "echo ${{HOME}"});
    CHECK(words("echo \\${HOME}") == Words{"echo", "${{HOME}"});
}

TEST_CASE("every placeholder is filled") {
    const Placeholders values{.name = "n",
                              .pid = "1",
                              .time = "2",
                              .rand = "r",
                              .uuid = "u",
                              .program = "p",
                              .process = "p_00",
                              .index = "0",
                              .host = "h",
                              .service = "s",
                              .instance = "i"};
    CHECK(fill("{name} {pid} {time} {rand} {uuid}", values) == "n 1 2 r u");
    CHECK(fill("{program} {process} {index}", values) == "p p_00 0");
    CHECK(fill("{host} {service} {instance}", values) == "h s i");
    CHECK(fill("{{name}} {{ {{{name} }", values) == "{name}} { {n }");
    CHECK(fill("plain", values) == "plain");
    CHECK(fill(as_template("{name} {"), values) == "{name} {");
}

TEST_CASE("a placeholder is seen, a doubled brace is not") {
    CHECK(has_placeholder("{program}-{rand}", "rand"));
    CHECK_FALSE(has_placeholder("{program}-{{rand}", "rand"));
    CHECK_FALSE(has_placeholder("rand", "rand"));
}

TEST_CASE("placeholders are checked for their field") {
    CHECK_FALSE(
        check_placeholders("{program}-{host}-{pid}-{time}-{rand}-{uuid}", Field::worker_name));
    CHECK_FALSE(check_placeholders("{name} {index} {{x}", Field::other));
    const auto typed = check_placeholders("{nmae}", Field::other);
    REQUIRE(typed);
    CHECK(typed->message() == "unknown placeholder {nmae}");
    CHECK(typed->hint() == "did you mean {name}?");
    CHECK(check_placeholders("{pid}", Field::other)->message() == "{pid} cannot stand here");
    CHECK(check_placeholders("{name}", Field::worker_name)->message() ==
          "{name} cannot stand here");
    for (const char* text : {"{", "{}", "{a b}", "{\"a\": 1}", "x{name"})
        CHECK_MESSAGE(check_placeholders(text, Field::other), text);
}

}  // namespace
}  // namespace muster::config
