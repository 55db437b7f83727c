#include "registry/sidekiq.h"

#include <charconv>
#include <chrono>
#include <optional>
#include <utility>

#include "registry/answers.h"
#include "registry/claims.h"
#include "registry/scripts.h"
#include "registry/work.h"

namespace muster::registry {
namespace {

// "1778894689.2503", Unix seconds.
std::optional<WallTime> born(const std::string& started_at) {
    double seconds = 0;
    const auto* end = started_at.data() + started_at.size();
    const auto [rest, code] = std::from_chars(started_at.data(), end, seconds);
    if (code != std::errc{} || rest != end || !(seconds >= 0 && seconds < 1e11))
        return std::nullopt;
    return WallTime{
        std::chrono::duration_cast<WallTime::duration>(std::chrono::duration<double>{seconds})};
}

}  // namespace

Sidekiq::Sidekiq(redis::Client& client, SystemOptions options)
    : client_(client),
      options_(std::move(options)),
      search_(client, {sidekiq_find, "processes", born}, options_) {}

void Sidekiq::look(std::vector<Sought> sought, LookDone done) {
    std::vector<std::string> hostnames{options_.hostname};
    if (!options_.dyno.empty()) hostnames.push_back(options_.dyno);
    for (const auto& one : sought) hostnames.push_back(one.name);
    search_.look(std::move(sought), std::move(hostnames), std::move(done));
}

void Sidekiq::work(std::vector<std::string> names, WorkDone done) {
    const auto judge = [](std::string_view busy) {
        if (busy == "0") return Work::idle;
        return busy.empty() ? Work::unknown : Work::busy;
    };
    ask_work(client_, std::move(names), "busy", judge, std::move(done));
}

void Sidekiq::release(const Release& release, ReleaseDone done) {
    if (release.registration) return release_known(release, *release.registration, std::move(done));
    look({sought_of(release)}, lifeline_.guard(release_found(
                                   client_, options_, release,
                                   [this, release, done](const Registration& known) {
                                       release_known(release, known, done);
                                   },
                                   done)));
}

void Sidekiq::release_known(const Release& release, const Registration& known, ReleaseDone done) {
    client_.eval(sidekiq_release,
                 {"processes", known.name, known.name + ":workers", known.name + ":work",
                  claim_key(options_.prefix, release.name)},
                 {known.name, known.pid, known.hostname, known.birth,
                  claim_value(options_.owner, release.process)},
                 answer_released(std::move(done)));
}

}  // namespace muster::registry
