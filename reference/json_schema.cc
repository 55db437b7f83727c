#include "reference/json_schema.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "config/load.h"
#include "reference/keys.h"

namespace muster::reference {

namespace {

using Json = nlohmann::ordered_json;

Json type(const char* name) {
    return {{"type", name}};
}

Json defined(const char* name) {
    return {{"$ref", fmt::format("#/$defs/{}", name)}};
}

Json any_of(Json::array_t choices) {
    return {{"anyOf", std::move(choices)}};
}

// What is no string may come as one from the environment: processes = "${WORKERS:-2}".
Json or_from_environment(Json schema) {
    return any_of({std::move(schema), defined("fromEnvironment")});
}

Json array_of(Json items) {
    return {{"type", "array"}, {"items", std::move(items)}};
}

Json one_or_several(Json item) {
    return any_of({item, array_of(item)});
}

Json whole(const Key& key) {
    return {{"type", "integer"}, {"minimum", key.least}, {"maximum", key.most}};
}

Json words(const Key& key) {
    Json::array_t all;
    for (std::string& word : words_of(key)) all.emplace_back(std::move(word));
    return {{"enum", std::move(all)}};
}

Json table(std::string_view path);

Json shape_of(const Key& key) {
    switch (key.shape) {
        case Shape::text:
            return type("string");
        case Shape::texts:
            return array_of(type("string"));
        case Shape::table:
            return table(path_of(key));
        case Shape::named:
            return {{"type", "object"},
                    {"propertyNames",
                     {{"pattern", "^[A-Za-z0-9_.-]{1,128}$"}, {"not", {{"const", "all"}}}}},
                    {"additionalProperties", table(path_of(key) + ".NAME")}};
        case Shape::words:
            return or_from_environment(words(key));
        case Shape::whole:
            return or_from_environment(whole(key));
        case Shape::real:
            return {{"type", "number"}, {"minimum", key.least}, {"maximum", key.most}};
        case Shape::boolean:
            return or_from_environment(type("boolean"));
        case Shape::duration:
            return defined("duration");
        case Shape::size:
            return defined("size");
        case Shape::command:
            return any_of({{{"type", "string"}, {"minLength", 1}},
                           {{"type", "array"}, {"items", type("string")}, {"minItems", 1}}});
        case Shape::processes:
            return any_of({whole(key), {{"const", "cpus"}}, defined("fromEnvironment")});
        case Shape::account:
            return any_of(
                {{{"type", "string"}, {"minLength", 1}}, {{"type", "integer"}, {"minimum", 0}}});
        case Shape::umask:
            return or_from_environment({{"type", "string"}, {"pattern", "^0*[0-7]{1,3}$"}});
        case Shape::after:
            return one_or_several(type("string"));
        case Shape::codes:
            return array_of(
                or_from_environment({{"type", "integer"}, {"minimum", 0}, {"maximum", 255}}));
        case Shape::ready: {
            Json one = table(path_of(key));
            one["minProperties"] = 1;
            one["maxProperties"] = 1;
            return any_of({{{"const", "registered"}}, defined("fromEnvironment"), std::move(one)});
        }
        case Shape::steps:
            return one_or_several(type("string"));
        case Shape::output:
            return {{"type", "string"}};  // a word or a path
        case Shape::bound:
            return any_of({defined("limit"),
                           {{"type", "array"},
                            {"items", defined("limit")},
                            {"minItems", 2},
                            {"maxItems", 2}}});
        case Shape::variables:
            return {{"type", "object"},
                    {"additionalProperties", {{"type", {"string", "integer"}}}}};
        case Shape::fields:
            return {{"type", "object"},
                    {"maxProperties", 16},
                    {"additionalProperties", type("string")}};
    }
    return {};
}

// A default that is plain is told to the editor, too.
void add_default(Json& schema, const Key& key) {
    if (key.initial.empty()) return;
    const Json value = Json::parse(key.initial, nullptr, false);  // TOML's plain values are JSON's
    if (!value.is_discarded()) schema["default"] = value;
}

Json table(std::string_view path) {
    Json properties = Json::object();
    for (const Key& key : keys_of(path)) {
        Json property = {{"description", key.does}};
        add_default(property, key);
        property.update(shape_of(key));
        properties[std::string(key.name)] = std::move(property);
    }
    Json schema = {{"type", "object"}, {"additionalProperties", false}};
    if (path == "program.NAME") schema["required"] = {"command"};
    if (path == "group.NAME") schema["required"] = {"programs"};
    schema["properties"] = std::move(properties);
    return schema;
}

}  // namespace

std::string json_schema() {
    Json schema = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                   {"title", "muster.toml"},
                   {"description", "The configuration of muster; see muster.toml(5)."}};
    schema.update(table(""));
    schema["$defs"] = {
        {"fromEnvironment",
         {{"description", "a text with ${VAR}, ${VAR:-default} or ${VAR:?message}"},
          {"type", "string"},
          {"pattern", "\\$\\{"}}},
        {"duration", any_of({{{"type", "number"}, {"minimum", 0}},
                             {{"type", "string"}, {"pattern", "^[0-9]+(\\.[0-9]*)?(ms|s|m|h)?$"}},
                             defined("fromEnvironment")})},
        {"size", any_of({{{"type", "integer"}, {"minimum", 0}},
                         {{"type", "string"}, {"pattern", "^[0-9]+ *(([KMGT]i?)?B)?$"}},
                         defined("fromEnvironment")})},
        {"limit", any_of({defined("size"), {{"const", "unlimited"}}})},
    };
    return schema.dump(2) + "\n";
}

}  // namespace muster::reference
