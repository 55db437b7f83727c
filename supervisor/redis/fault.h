#pragma once
// What an error answer of Redis means for us: one table, so that nobody else reads its words.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace muster::redis {

enum class Fault : std::uint8_t {
    none,           // an error of the command itself: its caller's affair
    elsewhere,      // this server is not the master (any more): connect anew, ask who is
    later,          // it cannot serve now, and will by itself or by its operator's hand
    refused,        // this one command is not allowed to us, or not known there: go on without it
    misconfigured,  // nothing will work until somebody changes something; tried again all the same
};

// `text` is the error without its leading '-'. Errors that a script met are seen through.
Fault classify(std::string_view text);

// While such a fault lasts, nothing that Redis says may decide anything: it counts as away.
constexpr bool is_away(Fault fault) {
    return fault == Fault::elsewhere || fault == Fault::later || fault == Fault::misconfigured;
}

// The sentence for the operator: where, what Redis said, what mends it. `text` must hold no secret.
Error fault_error(const std::string& where, std::string_view text);

}  // namespace muster::redis
