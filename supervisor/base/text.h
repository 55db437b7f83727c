#pragma once
// Small things about text that several folders need.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace muster {

std::string_view trimmed(std::string_view text);
std::vector<std::string> split(std::string_view text, char separator);
std::string joined(std::span<const std::string> parts, std::string_view separator);

// The candidate nearest to a mistyped word, or "" where none is near enough to be meant.
std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates);

// The text of an errno, thread-safe: "Permission denied".
std::string errno_text(int code);
// An errno that says that processes, memory or files are short just now; and what to do about it,
// "" for any other.
bool is_scarcity(int code);
std::string scarcity_advice(int code);
// "opening /x: Permission denied". A scarcity brings its own advice.
Error errno_error(std::string_view tried, int code, std::string hint = {});

// A URL with its password and query secrets replaced by "***" (I12). Anything that is not a URL
// comes back as it is.
std::string redacted(std::string_view url);

// "TERM" or "SIGTERM" or "15" to 15; 0 where there is no such signal.
int signal_by_name(std::string_view name);
std::string signal_name(int number);  // "TERM"; "35" where it has no name

// How many bytes the valid UTF-8 sequence takes that a text begins with (1 for ASCII); 0 where it
// is none: too short, overlong, a surrogate, beyond U+10FFFF (RFC 3629, 4).
std::size_t utf8_length(std::string_view text);
bool is_utf8(std::string_view text);  // all of it

// `size` characters of [a-z0-9] from the kernel's random source.
std::string random_text(std::size_t size);

}  // namespace muster
