#include "logs/line_format.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <random>

using namespace muster::logs;

namespace {

std::string escaped(std::string_view text) {
    std::string out;
    append_json(out, text);
    return out;
}

}  // namespace

TEST_CASE("text has the process in front, and another sign where a line goes on") {
    const LineFormat format{Format::text, "shap_00", false};
    std::string out;
    format.append(out, "one", "", false);
    format.append(out, "goes on", "", true);
    CHECK(out == "shap_00 | one\nshap_00 + goes on\n");
}

TEST_CASE("a line as JSON") {
    const LineFormat format{Format::json, "sh\"ap", true};
    std::string out;
    format.append(out, "say \"hi\"\t\x1b[31m", "2026-05-16T01:24:48.287Z", false);
    CHECK(out == R"({"time":"2026-05-16T01:24:48.287Z","process":"sh\"ap","stream":"stderr",)"
                 R"("message":"say \"hi\"\t\u001b[31m"})"
                 "\n");
    out.clear();
    format.append(out, "x", "t", true);
    CHECK(nlohmann::json::parse(out)["continued"] == true);
}

TEST_CASE("control characters are escaped, what is no UTF-8 becomes U+FFFD, the rest stays") {
    CHECK(escaped("plain text, long enough for a word") == "plain text, long enough for a word");
    CHECK(escaped("\\ \"") == "\\\\ \\\"");
    CHECK(escaped(std::string_view{"\0\x01\x1f\x7f", 4}) == "\\u0000\\u0001\\u001f\\u007f");
    CHECK(escaped("\r\n\t") == "\\r\\n\\t");
    CHECK(escaped("\xc2\x80\xc2\x9f\xc2\xa0") == "\\u0080\\u009f\xc2\xa0");
    CHECK(escaped("äöü € 😀") == "äöü € 😀");
    const std::string gone = "\xEF\xBF\xBD";
    CHECK(escaped("\xff") == gone);
    CHECK(escaped("a\xc3") == "a" + gone);                            // cut off
    CHECK(escaped("\xc0\xaf") == gone + gone);                        // longer than need be
    CHECK(escaped("\xed\xa0\x80") == gone + gone + gone);             // a surrogate
    CHECK(escaped("\xf4\x90\x80\x80") == gone + gone + gone + gone);  // past U+10FFFF
    CHECK(escaped("12345678\xe2\x82\xac") == "12345678\xe2\x82\xac");
}

TEST_CASE("whatever the bytes, it is JSON, and what was text reads back the same") {
    std::mt19937 random{11};
    for (int round = 0; round < 3000; ++round) {
        std::string bytes(random() % 60, '\0');
        const bool is_ascii = round % 3 == 0;
        for (char& c : bytes) c = static_cast<char>(is_ascii ? random() % 128 : random() % 256);
        std::string out;
        LineFormat{Format::json, "p", false}.append(out, bytes, "t", false);
        const auto json = nlohmann::json::parse(out, nullptr, false);
        REQUIRE(json.is_object());
        REQUIRE(out.find('\n') == out.size() - 1);
        if (is_ascii) REQUIRE(json["message"] == bytes);
    }
}
