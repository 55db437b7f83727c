// The description of the API and the table of its routes name the same.

#include <doctest/doctest.h>

#include <cctype>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "control/json_routes.h"

namespace muster::control {
namespace {

nlohmann::json description() {
    std::ifstream file{SOURCES "/docs/openapi.json"};
    return nlohmann::json::parse(file, nullptr, false);
}

TEST_CASE("docs/openapi.json describes every route, and no other") {
    std::set<std::string> described;
    const auto paths = description()["paths"];
    for (const auto& [path, methods] : paths.items()) {
        for (const auto& [method, operation] : methods.items()) {
            std::string name;
            for (const char c : method)
                name += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
            described.insert(name + " " + path);
        }
    }
    // supervisord's own, beside the table.
    std::set<std::string> there{"POST /RPC2", "GET /mainlogtail", "GET /logtail/{name}",
                                "GET /logtail/{name}/{channel}"};
    for (const Route& route : JsonRoutes::routes())
        there.insert(std::string(route.method) + " " + std::string(route.path));
    CHECK(there.size() >= 26);
    for (const std::string& one : there) CHECK_MESSAGE(described.contains(one), one);
    for (const std::string& one : described) CHECK_MESSAGE(there.contains(one), one);
}

TEST_CASE("every part of a described path that is in braces is a described parameter") {
    const auto paths = description()["paths"];
    for (const auto& [path, methods] : paths.items()) {
        for (const auto& [method, operation] : methods.items()) {
            CHECK_MESSAGE(!operation["summary"].get<std::string>().empty(), path);
            const auto open = path.find('{');
            if (open == path.npos) continue;
            const std::string name = path.substr(open + 1, path.find('}') - open - 1);
            bool is_described = false;
            for (const auto& parameter : operation["parameters"])
                is_described =
                    is_described || (parameter["in"] == "path" && parameter["name"] == name);
            CHECK_MESSAGE(is_described, path);
        }
    }
}

}  // namespace
}  // namespace muster::control
