#include "control/json_writer.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

using namespace muster;
using control::JsonWriter;

namespace {

std::string written(std::string_view text) {
    JsonWriter json;
    json.string(text);
    return json.take();
}

}  // namespace

TEST_CASE("strings are escaped as JSON wants it") {
    CHECK(written("plain") == R"("plain")");
    CHECK(written("a\"b\\c") == R"("a\"b\\c")");
    CHECK(written("\n\r\t\x01\x1f") == R"("\n\r\t\u0001\u001f")");
    CHECK(written(std::string_view("\0", 1)) == R"("\u0000")");
    CHECK(written("\x7f") == "\"\\u007f\"");
}

TEST_CASE("UTF-8 stays, what is none becomes U+FFFD") {
    CHECK(written("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80") ==
          "\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80\"");
    const std::string mark = "\xef\xbf\xbd";
    CHECK(written("a\xff") == "\"a" + mark + "\"");
    CHECK(written("\xc3") == "\"" + mark + "\"");                        // too short
    CHECK(written("\xc0\xaf") == "\"" + mark + mark + "\"");             // overlong
    CHECK(written("\xed\xa0\x80") == "\"" + mark + mark + mark + "\"");  // a surrogate
    CHECK(written("\xf4\x90\x80\x80x") == "\"" + mark + mark + mark + mark + "x\"");
    CHECK(written("\xe2\x82z") == "\"" + mark + mark + "z\"");
}

TEST_CASE("every byte string becomes a JSON text that reads back") {
    std::string bytes;
    for (int i = 0; i < 4096; ++i) bytes += static_cast<char>((i * 167 + i / 13) & 0xff);
    for (std::size_t from = 0; from < 256; ++from) {
        const auto json =
            nlohmann::json::parse(written(std::string_view(bytes).substr(from)), nullptr, false);
        CHECK(json.is_string());
    }
}

TEST_CASE("values stand with the right commas") {
    using namespace std::chrono_literals;
    JsonWriter json;
    json.begin_object();
    json.key("a");
    json.begin_array();
    json.number(1);
    json.number(-2);
    json.begin_object();
    json.end_object();
    json.end_array();
    json.key("b");
    json.null();
    json.key("c");
    json.boolean(true);
    json.key("d");
    json.seconds(1500ms);
    json.key("short");
    json.seconds(6'200us);
    json.key("e");
    json.string("x:");
    json.key("f");
    json.string("[");
    json.end_object();
    CHECK(json.take() ==
          R"({"a":[1,-2,{}],"b":null,"c":true,"d":1.500,"short":0.006,"e":"x:","f":"["})");
}
