#include "control/xmlrpc.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <pugixml.hpp>

#include "base/text.h"
#include "control/base64.h"

namespace muster::control::xmlrpc {

namespace {

Result<Value> read_value(const pugi::xml_node& node, int depth);

Error wrong(std::string_view what) {
    return Error{fmt::format("this is no XML-RPC call: {}", what)};
}

pugi::xml_node only_element(const pugi::xml_node& parent) {
    for (const pugi::xml_node child : parent.children()) {
        if (child.type() == pugi::node_element) return child;
    }
    return {};
}

// All pieces of text in it: comments and CDATA may cut it up.
std::string text_in(const pugi::xml_node& node) {
    std::string text;
    for (const pugi::xml_node child : node.children()) {
        if (child.type() == pugi::node_pcdata || child.type() == pugi::node_cdata)
            text += child.value();
    }
    return text;
}

Result<Value> read_int(std::string_view text) {
    text = trimmed(text);
    if (text.starts_with('+')) text.remove_prefix(1);
    std::int64_t number = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || code != std::errc{} || end != text.data() + text.size())
        return wrong("an integer that is none");
    return Value(clamped(number));
}

Result<Value> read_double(std::string_view text) {
    text = trimmed(text);
    double number = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (code != std::errc{} || end != text.data() + text.size())
        return wrong("a double that is none");
    return Value(number);
}

Result<Value> read_base64(std::string_view text) {
    auto bytes = base64_decoded(text);
    if (!bytes) return wrong("base64 that is none");
    return Value(std::move(*bytes));
}

Result<Value> read_array(const pugi::xml_node& node, int depth) {
    Array items;
    for (const pugi::xml_node item : node.child("data").children("value")) {
        auto value = read_value(item, depth + 1);
        if (!value) return value;
        items.push_back(std::move(*value));
    }
    return Value(std::move(items));
}

Result<Value> read_struct(const pugi::xml_node& node, int depth) {
    Struct members;
    for (const pugi::xml_node member : node.children("member")) {
        auto value = read_value(member.child("value"), depth + 1);
        if (!value) return value;
        members.emplace_back(text_in(member.child("name")), std::move(*value));
    }
    return Value(std::move(members));
}

Result<Value> read_value(const pugi::xml_node& node, int depth) {
    if (!node) return wrong("a value is missing");
    if (depth > deepest_value) return wrong("its values are nested too deep");
    const pugi::xml_node typed = only_element(node);
    if (!typed) return Value(text_in(node));
    const std::string_view type = typed.name();
    if (type == "int" || type == "i4" || type == "i8") return read_int(text_in(typed));
    if (type == "boolean") return Value(trimmed(text_in(typed)) == "1");
    if (type == "string" || type == "dateTime.iso8601") return Value(text_in(typed));
    if (type == "double") return read_double(text_in(typed));
    if (type == "base64") return read_base64(text_in(typed));
    if (type == "array") return read_array(typed, depth);
    if (type == "struct") return read_struct(typed, depth);
    return wrong(fmt::format("there is no type '{}'", clean_text(type.substr(0, 32))));
}

void append_escaped(std::string& out, std::string_view text) {
    for (const char c : text) {
        switch (c) {
            case '&':
                out += "&amp;";
                break;
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '\r':
                out += "&#13;";  // a bare one would be read as a line feed
                break;
            default:
                out += c;
        }
    }
}

void append(std::string& out, const Value& value) {
    out += "<value>";
    if (const auto* flag = value.as<bool>()) {
        out += *flag ? "<boolean>1</boolean>" : "<boolean>0</boolean>";
    } else if (const auto* number = value.as<std::int32_t>()) {
        out += fmt::format("<int>{}</int>", *number);
    } else if (const auto* real = value.as<double>()) {
        out += fmt::format("<double>{}</double>", *real);
    } else if (const auto* text = value.as<std::string>()) {
        out += "<string>";
        append_escaped(out, clean_text(*text));
        out += "</string>";
    } else if (const auto* items = value.as<Array>()) {
        out += "<array><data>\n";
        for (const Value& item : *items) append(out, item);
        out += "</data></array>";
    } else if (const auto* members = value.as<Struct>()) {
        out += "<struct>\n";
        for (const auto& [name, member] : *members) {
            out += "<member>\n<name>";
            append_escaped(out, clean_text(name));
            out += "</name>\n";
            append(out, member);
            out += "</member>\n";
        }
        out += "</struct>";
    }
    out += "</value>\n";
}

// Whether XML 1.0 allows the one character that `sequence` is (section 2.2, Char).
bool is_allowed(std::string_view sequence) {
    const auto first = static_cast<unsigned char>(sequence.front());
    if (first < 0x20) return first == '\t' || first == '\n' || first == '\r';
    return sequence != "\xEF\xBF\xBE" && sequence != "\xEF\xBF\xBF";
}

}  // namespace

const Value* Value::member(std::string_view name) const {
    const auto* members = as<Struct>();
    if (members == nullptr) return nullptr;
    const auto found = std::find_if(members->begin(), members->end(),
                                    [&](const auto& each) { return each.first == name; });
    return found == members->end() ? nullptr : &found->second;
}

bool Value::is_true() const {
    if (const auto* flag = as<bool>()) return *flag;
    if (const auto* number = as<std::int32_t>()) return *number != 0;
    if (const auto* real = as<double>()) return *real < 0 || *real > 0;
    if (const auto* text = as<std::string>()) return !text->empty();
    if (const auto* items = as<Array>()) return !items->empty();
    const auto* members = as<Struct>();
    return members != nullptr && !members->empty();
}

Result<Call> parse_call(std::string_view body) {
    pugi::xml_document document;
    // parse_ws_pcdata_single keeps a string of blanks; entities are the five of XML and numbers:
    // pugixml reads no document type, so nothing can be expanded without end.
    const auto parsed = document.load_buffer(
        body.data(), body.size(),
        pugi::parse_cdata | pugi::parse_escapes | pugi::parse_eol | pugi::parse_ws_pcdata_single,
        pugi::encoding_utf8);
    if (!parsed) return wrong(parsed.description());
    const pugi::xml_node root = document.child("methodCall");
    Call call;
    call.method = trimmed(text_in(root.child("methodName")));
    if (call.method.empty()) return wrong("it has no methodName");
    for (const pugi::xml_node param : root.child("params").children("param")) {
        auto value = read_value(param.child("value"), 0);
        if (!value) return value.error();
        call.params.push_back(std::move(*value));
    }
    return call;
}

std::string response(const Value& value) {
    std::string out = "<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n";
    append(out, value);
    return out += "</param>\n</params>\n</methodResponse>\n";
}

std::string fault(int code, std::string_view text) {
    std::string out = "<?xml version='1.0'?>\n<methodResponse>\n<fault>\n";
    append(out, Struct{{"faultCode", std::int32_t{code}}, {"faultString", text}});
    return out += "</fault>\n</methodResponse>\n";
}

std::int32_t clamped(std::int64_t number) {
    return static_cast<std::int32_t>(
        std::clamp<std::int64_t>(number, std::numeric_limits<std::int32_t>::min(),
                                 std::numeric_limits<std::int32_t>::max()));
}

std::string clean_text(std::string_view bytes) {
    constexpr std::string_view unknown = "\xEF\xBF\xBD";
    std::string out;
    out.reserve(bytes.size());
    while (!bytes.empty()) {
        const std::size_t size = utf8_length(bytes);
        const std::string_view one = bytes.substr(0, std::max<std::size_t>(size, 1));
        if (one == "\x1b")
            out += "\xE2\x90\x9B";
        else
            out += size > 0 && is_allowed(one) ? one : unknown;
        bytes.remove_prefix(one.size());
    }
    return out;
}

}  // namespace muster::control::xmlrpc
