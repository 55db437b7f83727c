#include "registry/custom.h"

#include <cstddef>
#include <optional>
#include <string>
#include <utility>

#include "registry/answers.h"
#include "registry/claims.h"
#include "registry/scripts.h"

namespace muster::registry {
namespace {

void append_fields(std::vector<std::string>& args, const CustomEntry& entry) {
    for (const auto& [field, value] : entry.fields) {
        args.push_back(field);
        args.push_back(value);
    }
}

}  // namespace

// One look under way: answered when nothing is open any more.
struct Custom::Search {
    std::vector<Found> found;
    std::size_t open = 1;  // looks without an answer, and the asking itself
    std::optional<Error> error;
    LookDone done;

    void answered() {
        if (--open > 0) return;
        if (error)
            done(*error);
        else
            done(std::move(found));
    }
};

Custom::Custom(redis::Client& client, SystemOptions options)
    : client_(client), options_(std::move(options)) {}

void Custom::look(std::vector<Sought> sought, LookDone done) {
    auto search = std::make_shared<Search>();
    search->done = std::move(done);
    search->found.reserve(sought.size());
    for (auto& one : sought) search->found.emplace_back(std::move(one), std::nullopt);
    for (std::size_t i = 0; i < search->found.size(); ++i) {
        const Sought& who = search->found[i].first;
        if (!who.custom) continue;
        std::vector<std::string> args{who.custom->member};
        append_fields(args, *who.custom);
        ++search->open;
        client_.eval(custom_look, {who.custom->set, who.custom->key}, std::move(args),
                     lifeline_.guard([this, search, i](Result<redis::Reply> reply) {
                         auto& [sought_one, found] = search->found[i];
                         if (!reply)
                             search->error = reply.error();
                         else if (reply->type != redis::Reply::Type::integer)
                             search->error = unexpected("looking for a worker", *reply);
                         else if (reply->integer == 1)
                             found = Registration{.name = sought_one.name,
                                                  .pid = std::to_string(sought_one.pid.value()),
                                                  .hostname = options_.hostname,
                                                  .birth = {},
                                                  .queues = {},
                                                  .version = {}};
                         search->answered();
                     }));
    }
    // Never inside the call, also where nobody is sought.
    client_.command({"PING"}, lifeline_.guard([search](const Result<redis::Reply>& reply) {
        if (!reply) search->error = reply.error();
        search->answered();
    }));
}

void Custom::release(const Release& release, ReleaseDone done) {
    // Of another life, and not in its roll.
    if (!release.custom)
        return drop_claim_of(client_, options_, release, Released::Verdict::left, std::move(done));
    const Estate estate = release.estate.value_or(Estate{});
    std::vector<std::string> args{
        release.estate ? estate.instance + "/" : claim_value(options_.owner, release.process),
        release.estate ? "1" : "0", estate.given, estate.value, release.custom->member};
    append_fields(args, *release.custom);
    client_.eval(
        custom_release,
        {release.custom->set, release.custom->key, claim_key(options_.prefix, release.name),
         options_.prefix + ":roll:" + estate.instance},
        std::move(args), answer_released(std::move(done)));
}

}  // namespace muster::registry
