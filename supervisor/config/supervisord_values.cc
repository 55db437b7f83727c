#include "config/supervisord_values.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "base/text.h"

namespace muster::config {

bool is_true(std::string_view text) {
    static constexpr std::string_view words[] = {"true", "yes", "on", "1", "t", "y"};
    std::string lower(text);
    for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return std::find(std::begin(words), std::end(words), lower) != std::end(words);
}

std::vector<std::string> list(std::string_view text) {
    std::vector<std::string> parts;
    for (const std::string& part : split(text, ',')) {
        if (const auto one = trimmed(part); !one.empty()) parts.emplace_back(one);
    }
    return parts;
}

std::optional<long> number(std::string_view text) {
    long value = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (code != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::vector<std::string> as_toml(std::vector<std::string> numbers) {
    for (std::string& each : numbers) each = std::to_string(number(each).value_or(0));
    return numbers;
}

std::string size_of(std::string_view text) {
    std::string out(text);
    for (const auto& [theirs, ours] : {std::pair{"KB", "KiB"}, {"MB", "MiB"}, {"GB", "GiB"}}) {
        const std::string_view unit = theirs;
        if (out.size() <= unit.size()) continue;
        std::string end = out.substr(out.size() - unit.size());
        for (char& c : end) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
        if (end == unit)
            return std::string(trimmed(std::string_view(out).substr(0, out.size() - 2))) + ours;
    }
    return out;
}

std::optional<std::vector<std::pair<std::string, std::string>>> environment_of(
    std::string_view text) {
    std::vector<std::pair<std::string, std::string>> pairs;
    std::size_t at = 0;
    const auto skip = [&](std::string_view what) {
        while (at < text.size() && what.find(text[at]) != std::string_view::npos) ++at;
    };
    for (skip(" \t\n,"); at < text.size(); skip(" \t\n,")) {
        const auto equals = text.find('=', at);
        if (equals == std::string_view::npos) return std::nullopt;
        const std::string key(trimmed(text.substr(at, equals - at)));
        if (key.empty() || key.find_first_of(" \t\n,\"'") != std::string::npos) return std::nullopt;
        at = equals + 1;
        skip(" \t");
        std::string value;
        while (at < text.size() && text[at] != ',' && text[at] != '\n') {
            const char c = text[at++];
            if (c != '"' && c != '\'') {
                value += c;
                continue;
            }
            const auto end = text.find(c, at);
            if (end == std::string_view::npos) return std::nullopt;
            value += text.substr(at, end - at);
            at = end + 1;
        }
        std::erase_if(pairs, [&](const auto& pair) { return pair.first == key; });  // the last wins
        pairs.emplace_back(key, std::string(trimmed(value)));
    }
    return pairs;
}

}  // namespace muster::config
