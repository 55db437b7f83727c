#include "registry/work.h"

#include <memory>
#include <utility>

#include "registry/answers.h"
#include "registry/scripts.h"

namespace muster::registry {

namespace {

constexpr std::size_t keys_a_call = 200;  // keeps each script below a millisecond

struct Question {
    std::vector<System::Work> work;
    std::size_t open = 0;
    std::optional<Error> error;
    System::WorkDone done;
};

}  // namespace

void ask_work(redis::Client& client,
              std::vector<std::string> keys,
              const std::string& field,
              System::Work (*judge)(std::string_view value),
              System::WorkDone done) {
    if (keys.empty()) return done(std::vector<System::Work>{});
    auto question = std::make_shared<Question>();
    question->work.assign(keys.size(), System::Work::unknown);
    question->done = std::move(done);
    question->open = (keys.size() + keys_a_call - 1) / keys_a_call;
    for (std::size_t first = 0; first < keys.size(); first += keys_a_call) {
        const std::size_t end = std::min(first + keys_a_call, keys.size());
        std::vector<std::string> some(keys.begin() + static_cast<std::ptrdiff_t>(first),
                                      keys.begin() + static_cast<std::ptrdiff_t>(end));
        client.eval(doing, std::move(some), {field},
                    [question, first, end, judge](const Result<redis::Reply>& reply) {
                        if (!reply)
                            question->error = reply.error();
                        else if (!reply->is_array() || reply->elements.size() != end - first)
                            question->error = unexpected("asking what workers do", *reply);
                        else
                            for (std::size_t i = first; i < end; ++i)
                                question->work[i] = judge(reply->elements[i - first].text);
                        if (--question->open > 0) return;
                        if (question->error)
                            question->done(*question->error);
                        else
                            question->done(std::move(question->work));
                    });
    }
}

}  // namespace muster::registry
