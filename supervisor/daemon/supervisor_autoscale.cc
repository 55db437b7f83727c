// The supervisor's side of [program.NAME.autoscale].

#include <algorithm>
#include <utility>

#include "daemon/supervisor.h"

namespace muster::daemon {

std::unique_ptr<Autoscaler> Supervisor::made_autoscaler() {
    const Duration interval = settings_.config.redis->queue_look();
    return std::make_unique<Autoscaler>(
        loop_, interval,
        Autoscaler::Tools{
            .look =
                [this](Duration fresh_for, std::function<void()> then) {
                    if (registrar_->is_away()) return then();
                    queues_->refresh(fresh_for, std::move(then));
                },
            .depth = [this,
                      interval](ProgramId id) { return queues_->depth_for(id, interval * 2); },
            .size = [this](ProgramId id) { return wanted_size(id); },
            .busy =
                [this](ProgramId id, std::function<void(Result<std::uint32_t>)> done) {
                    count_busy(id, std::move(done));
                },
            .resize =
                [this](ProgramId id, std::uint32_t size, const std::string& why) {
                    log_.info("autoscale", {{"program", fleet_.program_name(id)},
                                            {"from", std::to_string(fleet_.staying(id))},
                                            {"to", std::to_string(size)},
                                            {"reason", why}});
                    resize(id, size, true, false, [](const auto&) {});
                }});
}

void Supervisor::note_autoscale() {
    if (!autoscaler_) return;
    for (std::uint32_t p = 0; p < fleet_.program_count(); ++p) {
        const ProgramId id{p};
        const config::ProgramSettings& settings = programs_.settings(id);
        const bool is_scaled =
            settings.autoscale && std::find(order_.begin(), order_.end(), id) != order_.end();
        queues_->want(id, settings.registry,
                      is_scaled ? settings.autoscale->queues : std::vector<std::string>{});
        autoscaler_->want(id, is_scaled ? settings.autoscale : std::nullopt);
    }
}

// Where an operator has stopped it, or it was never started, a queue starts nothing.
std::optional<std::uint32_t> Supervisor::wanted_size(ProgramId id) const {
    if (stage_ != Stage::running || !fleet_.is_there(id)) return std::nullopt;
    const std::vector<ProcessId>& processes = fleet_.processes_of(id);
    const bool is_wanted =
        std::any_of(processes.begin(), processes.end(), [this](ProcessId process) {
            return !fleet_.is_leaving(process) &&
                   (!fleet_.machine(process).is_resting() || !fleet_.held_by(process).empty());
        });
    return is_wanted ? std::optional(fleet_.staying(id)) : std::nullopt;
}

void Supervisor::count_busy(ProgramId id, std::function<void(Result<std::uint32_t>)> done) {
    using Work = registry::System::Work;
    std::vector<ProcessId> processes = fleet_.processes_of(id);
    std::erase_if(processes, [&](ProcessId process) { return fleet_.is_leaving(process); });
    ask_work(
        id, processes,
        [done = std::move(done)](const std::vector<ProcessId>&,
                                 const Result<std::vector<Work>>& work) {
            if (!work) return done(work.error());
            done(static_cast<std::uint32_t>(std::count(work->begin(), work->end(), Work::busy)));
        });
}

std::vector<control::ScaledView> Supervisor::scaled() const {
    std::vector<control::ScaledView> all;
    if (!autoscaler_) return all;
    for (const ProgramId id : autoscaler_->programs()) {
        const config::Autoscale& rule = *programs_.settings(id).autoscale;
        all.push_back({fleet_.program_name(id), fleet_.staying(id), rule.min, rule.max,
                       autoscaler_->why(id)});
    }
    return all;
}

}  // namespace muster::daemon
