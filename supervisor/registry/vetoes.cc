#include "registry/vetoes.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

#include "registry/answers.h"

namespace muster::registry {
namespace {

// The value behind `key` in text of the kind "… key=value …", up to the next blank or line end.
std::string_view value_in(std::string_view text, std::string_view key) {
    const auto at = text.find(key);
    if (at == std::string_view::npos) return {};
    text.remove_prefix(at + key.size());
    return text.substr(0, text.find_first_of(" \r\n"));
}

bool is_refusal(const redis::Reply& reply) {
    return reply.is_error() &&
           (reply.text.starts_with("NOPERM") || reply.text.starts_with("ERR unknown"));
}

}  // namespace

std::string sign_of(Veto veto) {
    switch (veto) {
        case Veto::none:
            return {};
        case Veto::subscribed:
            return "somebody listens on its channel";
        case Veto::connected:
            return "a connection bears its name";
        case Veto::unseen:
            return "Redis does not let us see whether it listens";
    }
    return {};
}

struct Vetoes::Question {
    std::vector<std::string> names;
    std::vector<Veto> vetoes;
    std::size_t open = 0;  // calls without an answer
    std::optional<Error> error;
    Answer answer;

    void finish() {
        if (error)
            answer(*error);
        else
            answer(std::move(vetoes));
    }
};

Vetoes::Vetoes(redis::Client& client, LifeSigns signs)
    : client_(client), signs_(std::move(signs)) {}

void Vetoes::start_anew() {
    has_read_connections_ = false;
    connections_.clear();
    blind_spot_.clear();
}

void Vetoes::ask(std::vector<std::string> names, Answer answer) {
    auto question = std::make_shared<Question>();
    question->names = std::move(names);
    question->vetoes.assign(question->names.size(), Veto::none);
    question->answer = std::move(answer);
    if (signs_.names_connections && !has_read_connections_)
        count_clients(question);
    else
        count_subscribers(question);
}

// Redis is asked for the list only where it is short enough to hold nobody up.
void Vetoes::count_clients(const std::shared_ptr<Question>& question) {
    client_.command({"INFO", "clients"},
                    lifeline_.guard([this, question](Result<redis::Reply> reply) {
                        if (!reply) {
                            question->error = reply.error();
                            return question->finish();
                        }
                        const std::string_view text = value_in(reply->text, "connected_clients:");
                        std::int64_t clients = most_clients + 1;
                        std::from_chars(text.data(), text.data() + text.size(), clients);
                        has_read_connections_ = true;
                        if (clients <= most_clients) return list_clients(question);
                        count_subscribers(question);
                    }));
}

void Vetoes::list_clients(const std::shared_ptr<Question>& question) {
    client_.command({"CLIENT", "LIST"},
                    lifeline_.guard([this, question](Result<redis::Reply> reply) {
                        if (!reply) {
                            question->error = reply.error();
                            return question->finish();
                        }
                        if (reply->is_error())
                            blind_spot_ = fmt::format(
                                "CLIENT LIST is refused ({}): the names of connections are not "
                                "looked at; allow +client|list to this user",
                                reply->text);
                        else
                            take_clients(reply->text);
                        count_subscribers(question);
                    }));
}

void Vetoes::take_clients(const std::string& list) {
    std::string_view rest = list;
    while (!rest.empty()) {
        const auto end = rest.find('\n');
        const std::string_view name = value_in(rest.substr(0, end), " name=");
        if (!name.empty()) connections_.emplace(name);
        rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
    }
}

void Vetoes::count_subscribers(const std::shared_ptr<Question>& question) {
    for (std::size_t i = 0; i < question->names.size(); ++i) {
        if (connections_.contains(question->names[i])) question->vetoes[i] = Veto::connected;
    }
    if (signs_.channel_prefix.empty() || question->names.empty()) {
        // An answer never comes inside the call.
        client_.command({"PING"}, lifeline_.guard([question](const Result<redis::Reply>& reply) {
            if (!reply) question->error = reply.error();
            question->finish();
        }));
        return;
    }
    const std::size_t all = question->names.size();
    question->open = (all + names_a_call - 1) / names_a_call;
    for (std::size_t first = 0; first < all; first += names_a_call) {
        const std::size_t end = std::min(first + names_a_call, all);
        std::vector<std::string> argv{"PUBSUB", "NUMSUB"};
        for (std::size_t i = first; i < end; ++i)
            argv.push_back(signs_.channel_prefix + question->names[i]);
        client_.command(std::move(argv), lifeline_.guard([this, question, first,
                                                          end](const Result<redis::Reply>& reply) {
            take_counts(*question, first, end, reply);
            if (--question->open == 0) question->finish();
        }));
    }
}

void Vetoes::take_counts(Question& question,
                         std::size_t first,
                         std::size_t end,
                         const Result<redis::Reply>& reply) {
    if (!reply) {
        question.error = reply.error();
        return;
    }
    if (is_refusal(*reply)) {
        blind_spot_ = fmt::format(
            "PUBSUB NUMSUB is refused ({}): who still listens cannot be seen, so nothing is "
            "removed; allow +pubsub|numsub to this user",
            reply->text);
        std::fill(question.vetoes.begin() + static_cast<std::ptrdiff_t>(first),
                  question.vetoes.begin() + static_cast<std::ptrdiff_t>(end), Veto::unseen);
        return;
    }
    if (!reply->is_array() || reply->elements.size() != 2 * (end - first)) {
        question.error = unexpected("asking who listens", *reply);
        return;
    }
    for (std::size_t i = first; i < end; ++i) {
        if (reply->elements[2 * (i - first) + 1].integer > 0) question.vetoes[i] = Veto::subscribed;
    }
}

}  // namespace muster::registry
