#include "registry/depths.h"

#include <optional>
#include <utility>

#include "base/text.h"
#include "registry/answers.h"
#include "registry/scripts.h"

namespace muster::registry {

std::vector<std::string> queue_keys(const Queue& queue) {
    std::vector<std::string> keys;
    for (const std::string_view pattern : core::traits(queue.kind).queue_keys) {
        const auto star = pattern.find('*');
        keys.push_back(std::string(pattern.substr(0, star)) + queue.name +
                       std::string(pattern.substr(star + 1)));
    }
    return keys;
}

void read_depths(redis::Client& client, const std::vector<Queue>& queues, DepthsRead done) {
    std::vector<std::string> keys;
    std::vector<Queue> of_key;
    for (const Queue& queue : queues) {
        for (std::string& key : queue_keys(queue)) {
            keys.push_back(std::move(key));
            of_key.push_back(queue);
        }
    }
    client.eval(
        queue_depths, std::move(keys), {},
        [of_key = std::move(of_key), done = std::move(done)](const Result<redis::Reply>& reply) {
            if (!reply) return done(reply.error());
            if (!reply->is_array() || reply->elements.size() != of_key.size())
                return done(unexpected("asking for the depth of queues", *reply));
            Depths depths;
            for (std::size_t i = 0; i < of_key.size(); ++i) {
                const std::int64_t count = reply->elements[i].integer;
                if (count >= 0) depths[of_key[i]] += static_cast<std::uint64_t>(count);
            }
            done(std::move(depths));
        });
}

}  // namespace muster::registry
