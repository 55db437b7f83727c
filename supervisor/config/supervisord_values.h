#pragma once
// How supervisord.conf writes its values, read as supervisord reads them.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace muster::config {

bool is_true(std::string_view text);
std::vector<std::string> list(std::string_view text);  // "a, b c": split at commas alone
std::optional<long> number(std::string_view text);
// "03" is 3 there, and nothing here.
std::vector<std::string> as_toml(std::vector<std::string> numbers);
std::string size_of(std::string_view text);  // "50MB" counts in 1024s there: "50MiB"
// KEY="value",KEY2=value: quotes as a shell's, commas between; nothing where it is not that.
std::optional<std::vector<std::pair<std::string, std::string>>> environment_of(
    std::string_view text);

}  // namespace muster::config
