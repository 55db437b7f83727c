#pragma once
// system.multicall: several calls as one, strictly one after the other.

#include <functional>

#include "control/supervisord_faults.h"
#include "control/xmlrpc.h"

namespace muster::control {

// One call of the list: it tells its value or its fault, at once or later, and only one of them.
using RunCall = std::function<void(const xmlrpc::Call& call,
                                   std::function<void(xmlrpc::Value)> done,
                                   std::function<void(Fault)> failed)>;

// Each of `calls` is a struct of methodName and params; one that waits is waited for. Told at the
// end: their values and faults, in their order.
void run_one_by_one(const xmlrpc::Array& calls,
                    RunCall run,
                    std::function<void(xmlrpc::Value)> done);

}  // namespace muster::control
