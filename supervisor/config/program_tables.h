#pragma once
// Those keys of a program whose value has a shape of its own.

#include "config/schema.h"

namespace muster::config {

void read_limits(const Value& value, ProgramDraft& draft);
void read_ready(const Value& value, ProgramDraft& draft);
void read_backoff(const Value& value, ProgramDraft& draft);
void read_health(const Value& value, ProgramDraft& draft);
void read_poison(const Value& value, ProgramDraft& draft);
void read_listener(const Value& value, ProgramDraft& draft);
void read_autoscale(const Value& value, ProgramDraft& draft);
void read_stop(const Value& value, ProgramDraft& draft);
void read_log_rotate(const Value& value, ProgramDraft& draft);

// RLIMIT_… to the name that stands in the file.
std::string_view limit_name(int resource);

}  // namespace muster::config
