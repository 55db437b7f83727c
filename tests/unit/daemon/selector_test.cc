#include "daemon/selector.h"

#include <doctest/doctest.h>

using namespace muster;
using namespace muster::daemon;

namespace {

struct Two {
    core::Fleet fleet{{{"shap", core::Policy{}, {}, 2}, {"mail", core::Policy{}, {}, 1}},
                      Duration{}};
    std::vector<ProcessParts> parts{3};
    Two() {
        parts[0].id = "shap_00";
        parts[1].id = "shap_01";
        parts[2].id = "mail";
    }
    std::vector<std::uint32_t> select(std::string_view selector) const {
        std::vector<std::uint32_t> numbers;
        for (const ProcessId id : selected(selector, fleet, parts)) numbers.push_back(id.value());
        return numbers;
    }
};

}  // namespace

TEST_CASE("a selector is all, a program, a process, program:* or program:process") {
    const Two two;
    CHECK(two.select("all") == std::vector<std::uint32_t>{0, 1, 2});
    CHECK(two.select("shap") == std::vector<std::uint32_t>{0, 1});
    CHECK(two.select("shap:*") == std::vector<std::uint32_t>{0, 1});
    CHECK(two.select("shap_01") == std::vector<std::uint32_t>{1});
    CHECK(two.select("shap:shap_01") == std::vector<std::uint32_t>{1});
    CHECK(two.select("mail") == std::vector<std::uint32_t>{2});
}

TEST_CASE("what nobody is called selects nothing") {
    const Two two;
    for (const char* nobody : {"", "sha", "mail:shap_00", "shap:mail", "*", "shap:", "nobody:*"}) {
        CAPTURE(nobody);
        CHECK(two.select(nobody).empty());
    }
}
