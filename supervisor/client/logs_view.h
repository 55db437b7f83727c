#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "client/control_verbs.h"

namespace muster::client {

// The last lines of the selected processes, and with -f what follows, straight to stdout.
Printed show_logs(const CommandLine& line);

// Puts the process in front of each line, whatever the pieces it comes in.
class Labelled {
public:
    explicit Labelled(std::string label) : label_(std::move(label)) {}
    void append(std::string& out, std::string_view bytes);
    void end(std::string& out);  // of a last line without one

private:
    std::string label_;  // "" = as it is
    bool is_at_start_ = true;
};

}  // namespace muster::client
