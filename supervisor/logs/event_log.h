#pragma once

#include <cstdint>
#include <string>

#include "base/log.h"
#include "logs/event_ring.h"
#include "logs/line_format.h"
#include "logs/output_writer.h"
#include "logs/stamp.h"
#include "logs/tails.h"

namespace muster::logs {

// "2026-05-16T01:24:48.287Z WARN  exited program=shap process=shap_00 status=signal:9"
// or, as JSON, the same keys after "time", "level" and "event". A value that could be misread is
// quoted and escaped, so that one event is always one line. What
// the writer has no room for is dropped, counted, and told in one line once there is. The ring
// keeps all that is `info` or more, whatever the log shows.
class EventLog final : public Log, private OutputWriter::Waiter {
public:
    // The ring and the tails outlive the log. The tails get its lines, as they are written, as the
    // stream own_lines.
    static constexpr StreamKey own_lines{0, false};
    EventLog(OutputWriter& writer,
             LogLevel least,
             Format format = Format::text,
             EventRing* ring = nullptr,
             Tails* tails = nullptr)
        : writer_(writer), least_(least), format_(format), ring_(ring), tails_(tails) {}
    EventLog(const EventLog&) = delete;
    EventLog& operator=(const EventLog&) = delete;
    ~EventLog() override { writer_.forget(*this); }

    void write(LogLevel level,
               std::string_view verb,
               std::initializer_list<LogField> fields) override;
    [[nodiscard]] bool shows(LogLevel level) const override {
        return level >= least_ || (ring_ != nullptr && level >= LogLevel::info);
    }
    void set_level(LogLevel least) { least_ = least; }
    [[nodiscard]] std::uint64_t dropped_lines() const { return dropped_ever_; }

private:
    void output_drained() override;
    void begin_line(std::string_view time, LogLevel level, std::string_view verb);
    void append_field(std::string_view key, std::string_view value);
    void end_line();
    void tell_dropped(std::string_view time);

    OutputWriter& writer_;
    LogLevel least_;
    Format format_;
    EventRing* ring_;
    Tails* tails_;
    std::string line_;  // kept, so that a line costs no allocation
    Stamp stamp_;
    std::uint64_t dropped_ = 0;  // not told yet
    std::uint64_t dropped_ever_ = 0;
};

// Appends `value` as it stands, or quoted and escaped where it could be misread.
void append_value(std::string& line, std::string_view value);

}  // namespace muster::logs
