#include "daemon/housekeeping.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <unordered_set>
#include <utility>

#include "base/text.h"

namespace muster::daemon {

namespace {

constexpr std::size_t names_a_line = 10;

std::vector<registry::MemberSets> sets_of(const std::vector<registry::RegistryKind>& kinds) {
    std::vector<registry::MemberSets> all;
    for (const registry::RegistryKind kind : kinds) {
        if (auto sets = registry::member_sets(kind)) all.push_back(std::move(*sets));
    }
    return all;
}

registry::SweepOptions sweep_options(const Housekeeping::Options& options) {
    registry::SweepOptions made;
    made.prefix = options.prefix;
    made.owner = options.instance;
    made.interval = options.interval;
    made.may_decide = options.may_decide;
    made.ours = [ours = options.ours] {
        std::unordered_set<std::string> names;
        for (const auto& each : ours()) names.insert(each.first);
        return names;
    };
    return made;
}

registry::WorkerList::Options list_options(const Housekeeping::Options& options) {
    registry::WorkerList::Options made;
    made.prefix = options.prefix;
    made.instance = options.instance;
    made.ours = options.ours;
    return made;
}

control::WorkerView view_of(registry::ListedWorker worker) {
    return {.kind = std::move(worker.kind),
            .name = std::move(worker.name),
            .state = registry::life_word(worker.life),
            .instance = std::move(worker.instance),
            .process = std::move(worker.process),
            .host = std::move(worker.host),
            .pid = std::move(worker.pid),
            .activity = std::move(worker.activity),
            .queues = std::move(worker.queues),
            .why = std::move(worker.why)};
}

control::InstanceView view_of(registry::InstanceFacts facts) {
    control::InstanceView view;
    view.id = std::move(facts.id);
    view.service = std::move(facts.service);
    view.host = std::move(facts.host);
    view.version = std::move(facts.version);
    view.started_at = facts.started_at;
    view.lease_left = facts.lease_left;
    view.workers = facts.workers;
    for (registry::ProgramFacts& program : facts.programs)
        view.programs.push_back(
            {std::move(program.name), std::move(program.kind), program.processes});
    return view;
}

}  // namespace

Housekeeping::Housekeeping(loop::Loop& loop,
                           Log& log,
                           redis::Client& client,
                           const Options& options)
    : log_(log),
      client_(client),
      read_instances_(options.read_instances),
      is_settling_(options.is_settling),
      sweep_(loop, client, sets_of(options.kinds), sweep_options(options), events()),
      list_(loop, client, sets_of(options.kinds), list_options(options)) {}

registry::SweepEvents Housekeeping::events() {
    return {
        .swept = [this](const registry::SweepReport& report) { swept(report, false); },
        .removed =
            [this](const registry::Stale& stale) {
                if (removed_.size() < names_a_line) removed_.push_back(stale.name);
                log_.debug("stale-removed", {{"name", stale.name}, {"reason", stale.why}});
            },
        .could_not =
            [this](const Error& error) {
                if (is_settling_()) return log_.info("sweep-waits", {{"reason", error.message()}});
                log_.warn("sweep-failed", {{"reason", error.message()}, {"hint", error.hint()}});
            },
        .is_blind =
            [this](const std::string& why) {
                log_.warn("sweep-is-blind", {{"reason", why}});
            },
    };
}

// What changed is told, not that everything was looked at.
void Housekeeping::swept(const registry::SweepReport& report, bool is_on_order) {
    const std::vector<std::string> names = std::exchange(removed_, {});
    stale_removed_ += report.removed;
    if (report.removed == 0 && !is_on_order) return;
    log_.info("swept",
              {{"cause", is_on_order ? "asked over the control socket" : ""},
               {"seen", std::to_string(report.seen)},
               {"removed", std::to_string(report.removed)},
               {"waiting", std::to_string(report.waiting)},
               {"left", std::to_string(report.left)},
               {"names", joined(names, ",") + (report.removed > names.size() ? ",…" : "")}});
}

control::ApiError Housekeeping::refusal(const Error& error) const {
    if (!client_.is_connected()) return {503, "redis_away", error.message(), error.hint()};
    return {409, "refused", error.message(), error.hint()};
}

void Housekeeping::workers(const control::WorkersQuery& query,
                           control::Answered<control::WorkersPage> answer) {
    list_.page({query.after, query.limit, query.only_stale},
               [this, answer = std::move(answer)](Result<registry::WorkersPage> page) {
                   if (!page) return answer(refusal(page.error()));
                   control::WorkersPage shown;
                   shown.next = std::move(page->next);
                   shown.workers.reserve(page->workers.size());
                   for (auto& worker : page->workers)
                       shown.workers.push_back(view_of(std::move(worker)));
                   answer(std::move(shown));
               });
}

void Housekeeping::fleet(const control::Answered<std::vector<control::InstanceView>>& answer) {
    if (!read_instances_)
        return answer(control::ApiError{501, "not_supported",
                                        "the fleet is not supported in this version", ""});
    read_instances_([this, answer](Result<std::vector<registry::InstanceFacts>> found) {
        if (!found) return answer(refusal(found.error()));
        std::vector<control::InstanceView> instances;
        instances.reserve(found->size());
        for (registry::InstanceFacts& facts : *found)
            instances.push_back(view_of(std::move(facts)));
        answer(std::move(instances));
    });
}

void Housekeeping::sweep(bool applies, const control::Answered<control::SweepView>& answer) {
    auto entries = std::make_shared<std::vector<control::StaleView>>();
    sweep_.run(
        applies,
        [entries](const registry::Stale& stale) {
            if (entries->size() < control::SweepView::most_entries)
                entries->push_back({.name = stale.name,
                                    .set = stale.set,
                                    .fate = registry::fate_word(stale.fate),
                                    .due_in = stale.due_in,
                                    .why = stale.why});
        },
        [this, applies, answer, entries](const Result<registry::SweepReport>& report) {
            if (!report) return answer(refusal(report.error()));
            if (applies) swept(*report, true);
            answer(control::SweepView{.applied = applies,
                                      .seen = report->seen,
                                      .stale = report->stale,
                                      .removed = report->removed,
                                      .due = report->due,
                                      .waiting = report->waiting,
                                      .left = report->left,
                                      .next_due = report->next_due,
                                      .blind_spot = report->blind_spot,
                                      .entries = std::move(*entries)});
        });
}

}  // namespace muster::daemon
