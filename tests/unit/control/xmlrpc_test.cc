#include "control/xmlrpc.h"

#include <doctest/doctest.h>

namespace muster::control::xmlrpc {

namespace {

Call call_of(const std::string& params) {
    auto call = parse_call("<methodCall><methodName>a.b</methodName><params>" + params +
                           "</params></methodCall>");
    if (!call) FAIL(call.error().message());
    return std::move(*call);
}

Value value_of(const std::string& value) {
    auto call = call_of("<param><value>" + value + "</value></param>");
    REQUIRE(call.params.size() == 1);
    return std::move(call.params.front());
}

std::string trouble(const std::string& body) {
    const auto call = parse_call(body);
    return call ? "" : call.error().message();
}

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("every type that supervisord takes is read") {
    CHECK(*value_of("<int>-5</int>").as<std::int32_t>() == -5);
    CHECK(*value_of("<i4> 7 </i4>").as<std::int32_t>() == 7);
    CHECK(*value_of("<i8>99999999999</i8>").as<std::int32_t>() == 2147483647);
    CHECK(*value_of("<boolean>1</boolean>").as<bool>());
    CHECK_FALSE(*value_of("<boolean>true</boolean>").as<bool>());
    CHECK(*value_of("<string>a &lt;b&gt; &#233;</string>").as<std::string>() == "a <b> \xC3\xA9");
    CHECK(*value_of("bare").as<std::string>() == "bare");
    CHECK(*value_of("<string> </string>").as<std::string>() == " ");
    CHECK(value_of("<string/>").as<std::string>()->empty());
    CHECK(*value_of("<base64>aGkh\nCg==</base64>").as<std::string>() == "hi!\n");
    CHECK(*value_of("<double>1.5</double>").as<double>() == doctest::Approx(1.5));
    const auto array =
        value_of("<array><data><value><int>1</int></value>\n<value>x</value></data></array>");
    REQUIRE(array.as<Array>() != nullptr);
    CHECK(array.as<Array>()->size() == 2);
    const auto record =
        value_of("<struct><member><name>k</name><value><int>3</int></value></member></struct>");
    REQUIRE(record.member("k") != nullptr);
    CHECK(*record.member("k")->as<std::int32_t>() == 3);
    CHECK(record.member("l") == nullptr);
}

TEST_CASE("a call without parameters may say so in three ways") {
    for (const char* params : {"", "<params/>", "<params></params>"}) {
        const auto call = parse_call(
            "<?xml version='1.0'?>\n<methodCall>\n<methodName>x.y"
            "</methodName>" +
            std::string(params) + "</methodCall>\n");
        REQUIRE(call.ok());
        CHECK(call->method == "x.y");
        CHECK(call->params.empty());
    }
}

TEST_CASE("what is no call is an error, never a guess") {
    CHECK(has(trouble(""), "no XML-RPC call"));
    CHECK(has(trouble("<methodCall><methodName>a"), "no XML-RPC call"));
    CHECK(has(trouble("<methodCall/>"), "no methodName"));
    CHECK(has(trouble("<other><methodName>a.b</methodName></other>"), "no methodName"));
    const auto with = [](const std::string& value) {
        return "<methodCall><methodName>a.b</methodName><params><param><value>" + value +
               "</value></param></params></methodCall>";
    };
    CHECK(has(trouble(with("<int>x</int>")), "an integer that is none"));
    CHECK(has(trouble(with("<int></int>")), "an integer that is none"));
    CHECK(has(trouble(with("<nil/>")), "no type 'nil'"));
    CHECK(has(trouble(with("<base64>?</base64>")), "base64"));
    std::string deep = "<int>1</int>";
    for (int i = 0; i < 20; ++i) deep = "<array><data><value>" + deep + "</value></data></array>";
    CHECK(has(trouble(with(deep)), "too deep"));
}

TEST_CASE("an answer always parses, whatever bytes it is made of") {
    CHECK(clean_text("a\x1b[31mb") == "a\xE2\x90\x9B[31mb");
    CHECK(clean_text(std::string_view("\0\x01\t\n", 4)) == "\xEF\xBF\xBD\xEF\xBF\xBD\t\n");
    CHECK(clean_text("\xC3") == "\xEF\xBF\xBD");
    CHECK(clean_text("\xC3\xA9\xFF") == "\xC3\xA9\xEF\xBF\xBD");
    CHECK(clean_text("\xEF\xBF\xBE") == "\xEF\xBF\xBD");
    CHECK(has(response(Value("a<&>\r")), "<string>a&lt;&amp;&gt;&#13;</string>"));
    CHECK(has(response(Value(true)), "<boolean>1</boolean>"));
    CHECK(has(response(Array{Value(std::int32_t{1})}), "<array><data>\n<value><int>1</int>"));
    const auto said = fault(10, "BAD_NAME: x");
    CHECK(has(said, "<name>faultCode</name>\n<value><int>10</int>"));
    CHECK(has(said, "<string>BAD_NAME: x</string>"));
}

TEST_CASE("numbers are clamped to what <int> holds") {
    CHECK(clamped(3'000'000'000) == 2147483647);
    CHECK(clamped(-3'000'000'000) == -2147483647 - 1);
}

}  // namespace muster::control::xmlrpc
