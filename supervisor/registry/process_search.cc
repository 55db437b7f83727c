#include "registry/process_search.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <unordered_map>
#include <utility>

#include "base/text.h"
#include "registry/answers.h"

namespace muster::registry {
namespace {

constexpr auto clock_tolerance = std::chrono::seconds{2};  // as text a birth has whole seconds only
constexpr const char* page_size = "500";

std::optional<Pid> pid_of(const std::string& text) {
    pid_t pid = 0;
    const auto* end = text.data() + text.size();
    const auto [rest, code] = std::from_chars(text.data(), end, pid);
    if (code != std::errc{} || rest != end || pid <= 0) return std::nullopt;
    return Pid{pid};
}

std::optional<Registration> registration(const std::vector<redis::Reply>& row) {
    if (row.size() != 6 || !std::ranges::all_of(row, &redis::Reply::is_text)) return std::nullopt;
    Registration found;
    found.name = row[0].text;
    found.pid = row[1].text;
    found.hostname = row[2].text;
    found.birth = row[3].text;
    if (!row[4].text.empty()) found.queues = split(row[4].text, ',');
    found.version = row[5].text;
    return found;
}

}  // namespace

struct ProcessSearch::Search {
    std::vector<System::Found> found;
    std::vector<bool> is_ambiguous;
    std::unordered_map<Pid, std::size_t> by_pid;
    std::vector<std::string> hostnames;
    System::LookDone done;
};

ProcessSearch::ProcessSearch(redis::Client& client, Spec spec, const SystemOptions& options)
    : client_(client), spec_(std::move(spec)), is_of_family_(options.is_of_family) {}

void ProcessSearch::look(std::vector<Sought> sought,
                         std::vector<std::string> hostnames,
                         System::LookDone done) {
    auto search = std::make_shared<Search>();
    search->done = std::move(done);
    search->hostnames = std::move(hostnames);
    search->is_ambiguous.resize(sought.size());
    search->found.reserve(sought.size());
    for (auto& one : sought) {
        search->by_pid.emplace(one.pid, search->found.size());
        search->found.emplace_back(std::move(one), std::nullopt);
    }
    read_page(search, "0");
}

void ProcessSearch::read_page(const std::shared_ptr<Search>& search, const std::string& cursor) {
    std::vector<std::string> args{cursor, page_size};
    args.insert(args.end(), search->hostnames.begin(), search->hostnames.end());
    client_.eval(spec_.page, {spec_.set}, std::move(args),
                 lifeline_.guard([this, search](Result<redis::Reply> reply) {
                     if (!reply) return search->done(reply.error());
                     const auto& parts = reply->elements;
                     if (!reply->is_array() || parts.size() != 2 || !parts[0].is_text())
                         return search->done(unexpected("looking for workers", *reply));
                     take(*search, parts[1].elements);
                     if (parts[0].text == "0")
                         search->done(std::move(search->found));
                     else
                         read_page(search, parts[0].text);
                 }));
}

void ProcessSearch::take(Search& search, const std::vector<redis::Reply>& rows) const {
    for (const auto& row : rows) {
        const auto candidate = registration(row.elements);
        if (!candidate) continue;
        const auto owner = owner_of(*candidate, search);
        if (!owner || search.is_ambiguous[*owner]) continue;
        auto& found = search.found[*owner].second;
        // A scan may show one member twice.
        search.is_ambiguous[*owner] = found && found->name != candidate->name;
        found = search.is_ambiguous[*owner] ? std::nullopt : candidate;
    }
}

// A pid that is sought is that process; any other may be a wrapper's child, for which all are
// asked.
std::optional<std::size_t> ProcessSearch::owner_of(const Registration& found,
                                                   const Search& search) const {
    const auto pid = pid_of(found.pid);
    const auto born = spec_.born(found.birth);
    if (!pid || !born) return std::nullopt;
    const auto is_of_this_life = [&](std::size_t i) {
        return *born >= search.found[i].first.spawned_at - clock_tolerance;
    };
    if (const auto leader = search.by_pid.find(*pid); leader != search.by_pid.end())
        return is_of_this_life(leader->second) ? std::optional(leader->second) : std::nullopt;
    if (!is_of_family_) return std::nullopt;
    for (std::size_t i = 0; i < search.found.size(); ++i) {
        if (is_of_this_life(i) && is_of_family_(*pid, search.found[i].first)) return i;
    }
    return std::nullopt;
}

}  // namespace muster::registry
