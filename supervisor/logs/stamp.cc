#include "logs/stamp.h"

#include <chrono>

#include "base/time.h"

namespace muster::logs {

std::string_view Stamp::now() {
    constexpr std::size_t millis_at = std::string_view{"2026-05-16T01:24:48."}.size();
    const auto now =
        std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
    const auto second = std::chrono::floor<std::chrono::seconds>(now);
    if (const auto at = std::chrono::system_clock::to_time_t(second); at != second_) {
        second_ = at;
        text_ = format_wall_time(second);
    }
    const auto millis = static_cast<unsigned>((now - second).count());
    text_[millis_at] = static_cast<char>('0' + millis / 100);
    text_[millis_at + 1] = static_cast<char>('0' + millis / 10 % 10);
    text_[millis_at + 2] = static_cast<char>('0' + millis % 10);
    return text_;
}

}  // namespace muster::logs
