#include "control/supervisord_multicall.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

namespace muster::control {

namespace {

using xmlrpc::Array;
using xmlrpc::Struct;
using xmlrpc::Value;

struct Multicall {
    Array calls;
    RunCall run;
    std::function<void(Value)> done;
    std::size_t next = 0;
    Array results = {};
    bool is_inside = false;  // a call that answers at once must not deepen the stack
};

Fault refused(std::string_view why) {
    return make_fault(fault::incorrect_parameters, "INCORRECT_PARAMETERS", why);
}

void go_on(const std::shared_ptr<Multicall>& all) {
    if (all->is_inside) return;
    all->is_inside = true;
    while (all->next == all->results.size() && all->next < all->calls.size()) {
        const Value one = all->calls[all->next++];
        const auto failed = [all](const Fault& fault) {
            all->results.push_back(
                Struct{{"faultCode", std::int32_t{fault.code}}, {"faultString", fault.text}});
            go_on(all);
        };
        const Value* member = one.member("methodName");
        const auto* name = member == nullptr ? nullptr : member->as<std::string>();
        if (name == nullptr) {
            failed(refused("No methodName"));
            continue;
        }
        if (*name == "system.multicall") {
            failed(refused("Recursive system.multicall forbidden"));
            continue;
        }
        const Value* params = one.member("params");
        const Array* list = params == nullptr ? nullptr : params->as<Array>();
        all->run(
            {*name, list == nullptr ? Array{} : *list},
            [all](Value value) {
                all->results.push_back(std::move(value));
                go_on(all);
            },
            failed);
    }
    all->is_inside = false;
    if (all->results.size() == all->calls.size()) all->done(std::move(all->results));
}

}  // namespace

void run_one_by_one(const Array& calls, RunCall run, std::function<void(Value)> done) {
    go_on(std::make_shared<Multicall>(Multicall{calls, std::move(run), std::move(done)}));
}

}  // namespace muster::control
