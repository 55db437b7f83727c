#include "registry/sweep_pass.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "registry/answers.h"
#include "registry/scripts.h"

namespace muster::registry {
namespace {

constexpr std::size_t keys_a_search = 1000;    // of one SCAN: some 0.2 ms
constexpr std::size_t removals_a_call = 4000;  // members times sets
constexpr std::size_t looks_a_call = 2000;     // looks times sets

std::string in_whole_seconds(Duration time) {
    return fmt::format("{} s", std::chrono::ceil<std::chrono::seconds>(time).count());
}

bool is_page_of_scan(const redis::Reply& reply) {
    return reply.is_array() && reply.elements.size() == 2 && reply.elements[0].is_text() &&
           reply.elements[1].is_array();
}

Error lost_lease() {
    return Error{"the lease of the sweep went to another instance in the middle of it",
                 "nothing is half done; the other one goes on"};
}

}  // namespace

std::string_view fate_word(Fate fate) {
    switch (fate) {
        case Fate::removed:
            return "removed";
        case Fate::due:
            return "due";
        case Fate::waiting:
            return "waiting";
        case Fate::left:
            return "left";
    }
    return "?";
}

SweepPass::SweepPass(loop::Loop& loop,
                     redis::Client& client,
                     const MemberSets& sets,
                     PassOptions options,
                     std::string& search)
    : loop_(loop),
      client_(client),
      members_(sets),
      options_(std::move(options)),
      search_(search),
      left_to_search_(options_.keys_searched),
      vetoes_(client, sets.signs),
      owners_(client, options_.prefix),
      pause_(loop, [this] { look(); }) {}

void SweepPass::start(Each each, Done done) {
    each_ = std::move(each);
    done_ = std::move(done);
    know_set(members_.all);
    if (members_.queues.empty())
        pause_.arm(loop_.now());  // never answered inside the call
    else
        read_queues("0");
}

std::string SweepPass::lease() const {
    return ms_text(options_.lease);
}

std::vector<std::string> SweepPass::first_keys() const {
    return {fmt::format("{}:looks:{}", options_.prefix, members_.word),
            options_.prefix + ":sweeper"};
}

void SweepPass::know_set(std::string key) {
    if (sets_.size() >= most_sets || !known_sets_.insert(key).second) return;
    sets_.push_back(std::move(key));
}

// The sets of queues that have had a job.
void SweepPass::read_queues(const std::string& cursor) {
    client_.command(
        {"SSCAN", members_.queues, cursor, "COUNT", std::to_string(members_a_page)},
        lifeline_.guard([this](Result<redis::Reply> reply) {
            if (!reply) return fail(reply.error());
            if (!is_page_of_scan(*reply)) return fail(unexpected("reading the queues", *reply));
            for (const auto& queue : reply->elements[1].elements) {
                if (queue.text.starts_with(members_.queue_prefix))
                    know_set(members_.queue_sets + queue.text.substr(members_.queue_prefix.size()));
            }
            if (reply->elements[0].text == "0")
                search_sets();
            else
                read_queues(reply->elements[0].text);
        }));
}

// A queue that never had a job is named nowhere, but may have a set. Redis finds it only by going
// through its keys, so each pass goes through a part of them.
void SweepPass::search_sets() {
    if (left_to_search_ == 0) return next_page();
    if (search_.empty()) search_ = "0";
    left_to_search_ -= std::min(left_to_search_, keys_a_search);
    client_.command({"SCAN", search_, "MATCH", members_.queue_sets + "*", "COUNT",
                     std::to_string(keys_a_search)},
                    lifeline_.guard([this](Result<redis::Reply> reply) {
                        if (!reply) return fail(reply.error());
                        // Refused (ACL)? Then with the sets that are known.
                        if (!is_page_of_scan(*reply)) return next_page();
                        for (const auto& key : reply->elements[1].elements) know_set(key.text);
                        search_ = reply->elements[0].text;
                        if (search_ == "0") left_to_search_ = 0;
                        search_sets();
                    }));
}

// Others get their turn between two pages in any case. A Redis that takes long for a page is busy:
// it gets as much time again without us.
void SweepPass::next_page() {
    if (at_ >= sets_.size()) return forget_looks("0");
    const TimePoint now = loop_.now();
    const Duration took = page_began_ == TimePoint{} ? Duration{} : now - page_began_;
    if (took < long_page) return look();
    pause_.arm(now + std::min(took, longest_pause));
}

void SweepPass::look() {
    if (options_.may_go_on) {
        if (auto allowed = options_.may_go_on(); !allowed) return fail(allowed.error());
    }
    page_began_ = loop_.now();
    auto keys = first_keys();
    keys.push_back(members_.all);
    const std::size_t end = std::min(at_ + sets_a_page, sets_.size());
    keys.insert(keys.end(), sets_.begin() + static_cast<std::ptrdiff_t>(at_),
                sets_.begin() + static_cast<std::ptrdiff_t>(end));
    client_.eval(sweep_page, std::move(keys),
                 {owner(), lease(), cursor_, std::to_string(members_a_page), members_.key_prefix,
                  members_.begins},
                 lifeline_.guard([this](Result<redis::Reply> reply) {
                     if (!reply) return fail(reply.error());
                     looked(*reply);
                 }));
}

void SweepPass::looked(const redis::Reply& reply) {
    const auto& words = reply.elements;
    const bool is_answer = reply.is_array() && !words.empty() && words[0].is_text();
    if (is_answer && words[0].text == "lost") return fail(lost_lease());
    if (!is_answer || words.size() % 3 != 2 || words[1].integer < 0)
        return fail(unexpected("sweeping a page of workers", reply));
    const std::size_t began = at_;
    at_ += static_cast<std::size_t>(words[1].integer);
    cursor_ = words[2].text;
    report_.seen += static_cast<std::uint64_t>(words[3].integer);
    std::vector<Member> page;
    for (std::size_t i = 5; i < words.size(); i += 3) {
        const std::size_t number = static_cast<std::size_t>(words[i].integer);
        page.push_back({.member = words[i + 1].text,
                        .name = words[i + 1].text.substr(members_.begins.size()),
                        .set = number == 0 ? 0 : began + number - 1,
                        .age = ms_of(words[i + 2].text)});
    }
    report_.stale += page.size();
    if (page.empty()) return next_page();
    ask_vetoes(std::move(page));
}

// Whose names the rolls hold is read once a pass, and only where something is stale. From the
// second page on the next one is asked for in the same breath: its answer comes after this one's.
void SweepPass::ask_vetoes(std::vector<Member> page) {
    if (!owners_.has_read()) {
        owners_.read(
            lifeline_.guard([this, page = std::move(page)](const Outcome& outcome) mutable {
                if (!outcome)
                    fail(outcome.error());
                else
                    ask_vetoes(std::move(page));
            }));
        return;
    }
    const bool is_in_turn = !has_asked_ || at_ >= sets_.size();
    has_asked_ = true;
    std::vector<std::string> names;
    names.reserve(page.size());
    for (const Member& member : page) names.push_back(member.name);
    vetoes_.ask(std::move(names), lifeline_.guard([this, is_in_turn, page = std::move(page)](
                                                      Result<std::vector<Veto>> vetoes) mutable {
        if (!vetoes) return fail(vetoes.error());
        judge(page, *vetoes);
        if (is_in_turn) next_page();
    }));
    if (!is_in_turn) next_page();
}

std::string SweepPass::why_left(const Member& member, Veto veto) const {
    if (options_.ours.contains(member.name)) return "it is our own and lives";
    if (owners_.is_held(member.name)) {
        const auto* owner = owners_.owner_of(member.name);
        return fmt::format("its supervisor {} holds a lease", owners_.instance(*owner).id);
    }
    return sign_of(veto);
}

void SweepPass::judge(std::vector<Member>& page, const std::vector<Veto>& vetoes) {
    std::vector<Member> due;
    for (std::size_t i = 0; i < page.size(); ++i) {
        Member& member = page[i];
        if (std::string why = why_left(member, vetoes[i]); !why.empty())
            tell(member, Fate::left, std::move(why));
        else if (member.age < options_.apart)
            tell(member, Fate::waiting, {});
        else if (!options_.applies)
            tell(member, Fate::due, {});
        else
            due.push_back(std::move(member));
    }
    const std::size_t most = std::clamp<std::size_t>(removals_a_call / sets_.size(), 1, 500);
    for (std::size_t first = 0; first < due.size(); first += most) {
        const auto begin = due.begin() + static_cast<std::ptrdiff_t>(first);
        const auto end =
            due.begin() + static_cast<std::ptrdiff_t>(std::min(first + most, due.size()));
        remove({std::make_move_iterator(begin), std::make_move_iterator(end)});
    }
}

// Nothing waits for the answer; that to the last look of the pass comes after it.
void SweepPass::remove(std::vector<Member> members) {
    std::vector<std::string> args{owner(), lease(), ms_text(options_.apart), members_.key_prefix};
    for (const Member& member : members) args.push_back(member.member);
    auto keys = first_keys();
    keys.insert(keys.end(), sets_.begin(), sets_.end());
    client_.eval(sweep_remove, std::move(keys), std::move(args),
                 lifeline_.guard([this, members = std::move(members)](Result<redis::Reply> reply) {
                     if (!reply) return fail(reply.error());
                     removed(members, *reply);
                 }));
}

void SweepPass::removed(const std::vector<Member>& members, const redis::Reply& reply) {
    const auto& words = reply.elements;
    const bool is_answer = reply.is_array() && !words.empty() && words[0].is_text();
    if (is_answer && words[0].text == "lost") return fail(lost_lease());
    if (!is_answer || words.size() != 1 + members.size())
        return fail(unexpected("removing stale workers", reply));
    for (std::size_t i = 0; i < members.size(); ++i) {
        if (words[1 + i].text == "1")
            tell(members[i], Fate::removed, {});
        else
            tell(members[i], Fate::left, "it registered at the last moment");
    }
}

void SweepPass::tell(const Member& member, Fate fate, std::string why) {
    const Duration due_in =
        fate == Fate::waiting ? options_.apart - std::min(member.age, options_.apart) : Duration{};
    switch (fate) {
        case Fate::removed:
            ++report_.removed;
            break;
        case Fate::due:
            ++report_.due;
            break;
        case Fate::waiting:
            ++report_.waiting;
            report_.next_due = std::max(report_.next_due, due_in);
            why = fmt::format("its key is missing; first seen so {} ago, due in {}",
                              in_whole_seconds(member.age), in_whole_seconds(due_in));
            break;
        case Fate::left:
            ++report_.left;
            break;
    }
    if (!each_) return;
    if (why.empty())
        why = fmt::format("its key is missing since {} at least, nothing speaks for its life",
                          in_whole_seconds(member.age));
    each_({member.name, sets_[member.set], fate, due_in, std::move(why)});
}

void SweepPass::forget_looks(const std::string& cursor) {
    auto keys = first_keys();
    keys.pop_back();
    keys.insert(keys.end(), sets_.begin(), sets_.end());
    const std::size_t looks = std::clamp<std::size_t>(looks_a_call / sets_.size(), 10, 500);
    client_.eval(sweep_forget, std::move(keys),
                 {cursor, std::to_string(looks), ms_text(looks_are_kept)},
                 lifeline_.guard([this](Result<redis::Reply> reply) {
                     if (!reply) return fail(reply.error());
                     if (!reply->is_array() || reply->elements.size() != 2)
                         return fail(unexpected("forgetting looks", *reply));
                     const std::string next = reply->elements[0].text;
                     if (next == "0")
                         finish();
                     else
                         forget_looks(next);
                 }));
}

// The answers to what was asked before may still come: they find nobody to tell.
void SweepPass::fail(const Error& error) {
    const auto done = std::exchange(done_, {});
    if (!done) return;
    done(error.while_doing(fmt::format("sweeping the registry of {}", members_.word)));
}

void SweepPass::finish() {
    report_.blind_spot = vetoes_.blind_spot();
    const auto done = std::exchange(done_, {});
    if (!done) return;
    done(std::move(report_));
}

}  // namespace muster::registry
