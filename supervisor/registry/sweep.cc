#include "registry/sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "registry/answers.h"
#include "registry/scripts.h"

namespace muster::registry {
namespace {

using namespace std::chrono_literals;

void add(SweepReport& sum, const SweepReport& more) {
    sum.seen += more.seen;
    sum.stale += more.stale;
    sum.removed += more.removed;
    sum.due += more.due;
    sum.waiting += more.waiting;
    sum.left += more.left;
    sum.next_due = std::max(sum.next_due, more.next_due);
    if (sum.blind_spot.empty()) sum.blind_spot = more.blind_spot;
}

}  // namespace

Sweep::Sweep(loop::Loop& loop,
             redis::Client& client,
             std::vector<MemberSets> systems,
             SweepOptions options,
             SweepEvents events)
    : loop_(loop),
      client_(client),
      systems_(std::move(systems)),
      searches_(systems_.size()),
      options_(std::move(options)),
      events_(std::move(events)),
      timer_(loop, [this] { time_has_come(); }) {}

Duration Sweep::some_of(Duration least, Duration most) {
    return Duration{
        std::uniform_int_distribution<std::int64_t>{least.count(), most.count()}(random_)};
}

// Instances that start together do not ask together.
void Sweep::start() {
    if (systems_.empty() || options_.interval <= Duration{}) return;
    timer_.arm(loop_.now() + some_of(options_.interval / 20, options_.interval / 4));
}

void Sweep::time_has_come() {
    if (order_ || !client_.is_connected()) return arm({});
    begin({.applies = true, .is_on_interval = true, .each = {}, .done = {}, .report = {}});
}

void Sweep::run(bool applies, SweepPass::Each each, SweepPass::Done done) {
    if (order_) {
        client_.command({"PING"},
                        lifeline_.guard([done = std::move(done)](const Result<redis::Reply>&) {
                            done(Error{"a sweep is under way already", "try again in a moment"});
                        }));
        return;
    }
    begin({.applies = applies,
           .is_on_interval = false,
           .each = std::move(each),
           .done = std::move(done),
           .report = {}});
}

void Sweep::begin(Order order) {
    order_ = std::make_unique<Order>(std::move(order));
    claim();
}

// A dry sweep needs no lease; one round trip anyway, so that nobody is answered inside the call.
void Sweep::claim() {
    if (!order_->applies) {
        client_.command({"PING"}, lifeline_.guard([this](const Result<redis::Reply>& reply) {
            if (!reply) return finish(reply.error());
            next_pass();
        }));
        return;
    }
    client_.eval(sweep_claim, {options_.prefix + ":sweeper", options_.prefix + ":swept"},
                 {options_.owner, ms_text(options_.lease), order_->is_on_interval ? "1" : "0"},
                 lifeline_.guard([this](const Result<redis::Reply>& reply) {
                     if (!reply) return finish(reply.error());
                     claimed(*reply);
                 }));
}

void Sweep::claimed(const redis::Reply& reply) {
    const auto& words = reply.elements;
    const std::string verdict =
        reply.is_array() && !words.empty() && words[0].is_text() ? words[0].text : "";
    if (verdict == "ours") return next_pass();
    if ((verdict != "held" && verdict != "fresh") || words.size() != 3)
        return finish(unexpected("asking whose turn it is to sweep", reply));
    if (order_->is_on_interval) {  // somebody else's turn: nothing to tell
        order_.reset();
        return arm({});
    }
    finish(Error{fmt::format("{} sweeps this Redis at present", words[1].text),
                 "try again in a few seconds"});
}

PassOptions Sweep::pass_options() const {
    return {.prefix = options_.prefix,
            .applies = order_->applies,
            .owner = options_.owner,
            .lease = options_.lease,
            .apart = options_.apart,
            .keys_searched = options_.keys_searched,
            .may_go_on = options_.may_decide,
            .ours = options_.ours ? options_.ours() : std::unordered_set<std::string>{}};
}

void Sweep::next_pass() {
    if (order_->system >= systems_.size()) return finish(std::move(order_->report));
    const std::size_t system = order_->system;
    pass_ = std::make_unique<SweepPass>(loop_, client_, systems_[system], pass_options(),
                                        searches_[system]);
    pass_->start(
        [this](const Stale& stale) {
            if (stale.fate == Fate::removed && events_.removed) events_.removed(stale);
            if (order_->each) order_->each(stale);
        },
        [this](Result<SweepReport> report) { passed(std::move(report)); });
}

void Sweep::passed(Result<SweepReport> report) {
    pass_.reset();
    if (!report) return finish(std::move(report));
    add(order_->report, *report);
    ++order_->system;
    next_pass();
}

Duration Sweep::until_next(const SweepReport& report) const {
    if (report.waiting == 0) return options_.interval;
    return std::min(options_.interval, report.next_due + options_.apart / 50);
}

// The lease is given back first: whoever is answered may leave at once.
void Sweep::finish(Result<SweepReport> report) {
    if (!order_->applies) return conclude(report);
    // The others leave it alone until shortly before our own next turn.
    const Duration fresh = report && order_->is_on_interval ? until_next(*report) * 9 / 10 : 0s;
    client_.eval(sweep_end, {options_.prefix + ":sweeper", options_.prefix + ":swept"},
                 {options_.owner, ms_text(fresh)},
                 lifeline_.guard([this, report = std::move(report)](const Result<redis::Reply>&) {
                     conclude(report);
                 }));
}

void Sweep::conclude(const Result<SweepReport>& report) {
    const std::unique_ptr<Order> order = std::move(order_);
    told(report);
    if (order->is_on_interval) {
        if (report && events_.swept) events_.swept(*report);
        return arm(report ? *report : SweepReport{});
    }
    order->done(report);
}

void Sweep::told(const Result<SweepReport>& report) {
    const std::string trouble = report ? std::string{} : report.error().message();
    if (!trouble.empty() && trouble != last_trouble_ && events_.could_not)
        events_.could_not(report.error());
    last_trouble_ = trouble;
    if (!report) return;
    if (!report->blind_spot.empty() && report->blind_spot != last_blind_spot_ && events_.is_blind)
        events_.is_blind(report->blind_spot);
    if (report->stale > 0) last_blind_spot_ = report->blind_spot;
}

void Sweep::arm(const SweepReport& report) {
    const Duration pause = until_next(report);
    if (pause <= Duration{}) return;
    const bool is_sooner = report.waiting > 0;  // for a second look: not before it
    timer_.arm(loop_.now() + some_of(is_sooner ? pause : pause * 9 / 10, pause * 11 / 10));
}

}  // namespace muster::registry
