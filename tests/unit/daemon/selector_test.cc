#include "daemon/selector.h"

#include <doctest/doctest.h>

using namespace muster;
using namespace muster::daemon;

namespace {

struct Two {
    core::Fleet fleet{{{"shap", core::Policy{}, {}, 2}, {"mail", core::Policy{}, {}, 1, false}},
                      Duration{}};
    Parts parts = Parts(3);
    std::vector<config::Group> groups{{"night", {"mail"}, 5}, {"both", {"mail", "shap"}, 999}};
    Two() {
        parts[0].id = "shap_00";
        parts[1].id = "shap_01";
        parts[2].id = "mail";
    }
    std::vector<std::uint32_t> select(std::string_view selector) const {
        std::vector<std::uint32_t> numbers;
        for (const ProcessId id : selected(selector, fleet, parts, groups))
            numbers.push_back(id.value());
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

TEST_CASE("a group is its programs, by priority and then as they came") {
    Two two;
    CHECK(two.select("night") == std::vector<std::uint32_t>{2});
    CHECK(two.select("night:*") == std::vector<std::uint32_t>{2});
    CHECK(two.select("night:mail") == std::vector<std::uint32_t>{2});
    CHECK(two.select("night:shap_00").empty());
    CHECK(two.select("both") == std::vector<std::uint32_t>{0, 1, 2});
    core::Actions actions;
    two.fleet.put({{"mail", core::Policy{}, {}, 1, false, {.group = 5}}}, {}, actions);
    CHECK(two.select("both") == std::vector<std::uint32_t>{2, 0, 1});
}

TEST_CASE("what nobody is called selects nothing") {
    const Two two;
    for (const char* nobody : {"", "sha", "mail:shap_00", "shap:mail", "*", "shap:", "nobody:*"}) {
        CAPTURE(nobody);
        CHECK(two.select(nobody).empty());
    }
}
