#include "base/time.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace muster {

namespace {

struct Unit {
    std::string_view suffix;
    Duration length;
};

using namespace std::chrono_literals;
constexpr std::array<Unit, 4> units{{{"h", 1h}, {"m", 1min}, {"s", 1s}, {"ms", 1ms}}};
constexpr Duration longest = 24h * 3650;

// By hand: a status of a thousand processes has a thousand times in it.
void put_digits(std::string& text, std::size_t at, std::size_t count, int number) {
    for (; count > 0; number /= 10) text[at + --count] = static_cast<char>('0' + number % 10);
}

}  // namespace

WallTime wall_now() {
    return std::chrono::time_point_cast<WallTime::duration>(std::chrono::system_clock::now());
}

std::int64_t in_ms(Duration length) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(length).count();
}

std::int64_t in_ms(WallTime time) {
    return in_ms(Duration{time.time_since_epoch()});
}

std::string ms_text(Duration length) {
    return std::to_string(in_ms(length));
}

Result<Duration> parse_duration(std::string_view text) {
    double number = 0;
    const char* end = text.data() + text.size();
    const auto [rest, code] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
    const std::string_view suffix(rest, static_cast<std::size_t>(end - rest));
    const auto wrong = [text] {
        return Error{fmt::format("'{}' is not a duration", text),
                     "write 250ms, 10s, 5m, 1h or a number of seconds"};
    };
    if (code != std::errc{}) return wrong();
    Duration unit = 1s;
    if (!suffix.empty()) {
        const auto* found = std::find_if(units.begin(), units.end(),
                                         [&](const Unit& u) { return u.suffix == suffix; });
        if (found == units.end()) return wrong();
        unit = found->length;
    }
    if (!(number >= 0))
        return Error{fmt::format("'{}' is not a length of time", text), "a duration is 0 or more"};
    const double nanoseconds = number * static_cast<double>(unit.count());
    if (nanoseconds > static_cast<double>(longest.count()))
        return Error{fmt::format("'{}' is longer than ten years", text)};
    return Duration{std::llround(nanoseconds)};
}

std::string format_duration(Duration duration) {
    if (duration == 0s) return "0s";
    for (const Unit& unit : units) {
        if (duration % unit.length == 0s)
            return fmt::format("{}{}", duration / unit.length, unit.suffix);
    }
    return fmt::format("{}ms", static_cast<double>(duration.count()) / 1e6);
}

std::string format_seconds(Duration duration) {
    return fmt::format("{:.1f}s", std::chrono::duration<double>(duration).count());
}

std::string format_wall_time(WallTime time) {
    // Not gmtime_r: it takes the lock of the time zones.
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date{day};
    const auto millis =
        static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(time - day).count());
    std::string text = "0000-00-00T00:00:00.000Z";
    put_digits(text, 0, 4, static_cast<int>(date.year()));
    put_digits(text, 5, 2, static_cast<int>(static_cast<unsigned>(date.month())));
    put_digits(text, 8, 2, static_cast<int>(static_cast<unsigned>(date.day())));
    put_digits(text, 11, 2, millis / 3'600'000);
    put_digits(text, 14, 2, millis / 60'000 % 60);
    put_digits(text, 17, 2, millis / 1000 % 60);
    put_digits(text, 20, 3, millis % 1000);
    return text;
}

}  // namespace muster
