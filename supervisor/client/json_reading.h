#pragma once
// JSON from the supervisor, read without surprises: what is missing or of another kind is empty.

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace muster::client {

using Json = nlohmann::ordered_json;

inline Json parse_json(std::string_view text) {
    return Json::parse(text, nullptr, false);
}

inline std::string to_text(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

inline const Json& member(const Json& object, std::string_view key) {
    static const Json none;
    if (!object.is_object()) return none;
    const auto found = object.find(key);
    return found == object.end() ? none : *found;
}

inline std::string text_of(const Json& object, std::string_view key) {
    const auto* text = member(object, key).get_ptr<const std::string*>();
    return text == nullptr ? std::string{} : *text;
}

inline std::optional<double> number_of(const Json& object, std::string_view key) {
    const Json& value = member(object, key);
    return value.is_number() ? std::optional<double>(value.get<double>()) : std::nullopt;
}

inline bool is_true(const Json& object, std::string_view key) {
    const Json& value = member(object, key);
    return value.is_boolean() && value.get<bool>();
}

// An array's elements; an empty array where there is none.
inline Json::array_t& elements(Json& object, std::string_view key) {
    static Json::array_t none;
    none.clear();
    if (!object.is_object()) return none;
    const auto found = object.find(key);
    if (found == object.end() || !found->is_array()) return none;
    return *found->get_ptr<Json::array_t*>();
}

}  // namespace muster::client
