#include "core/job_system.h"

#include <csignal>

namespace muster::core {
namespace {

using namespace std::chrono_literals;

constexpr StopStep kill{SignalNumber{SIGKILL}, 0s};
constexpr StopStep by_term[] = {{SignalNumber{SIGTERM}, 25s}, kill};
constexpr StopStep by_quit[] = {{SignalNumber{SIGQUIT}, 25s}, {SignalNumber{SIGTERM}, 5s}, kill};
constexpr StopStep by_int[] = {{SignalNumber{SIGINT}, 25s}, kill};
constexpr SignalNumber tstp{SIGTSTP};
constexpr SignalNumber usr2{SIGUSR2};
constexpr SignalNumber cont{SIGCONT};

// What waits now: jobs for a later time, dead ones and those in work stand elsewhere.
constexpr std::string_view rq_queue[] = {"rq:queue:*"};
constexpr std::string_view sidekiq_queue[] = {"queue:*"};
constexpr std::string_view resque_queue[] = {"resque:queue:*"};
constexpr std::string_view dramatiq_queue[] = {"dramatiq:*"};
constexpr std::string_view celery_queue[] = {"*",
                                             "*\x06\x16"
                                             "3",
                                             "*\x06\x16"
                                             "6",
                                             "*\x06\x16"
                                             "9"};  // by priority
constexpr std::string_view bullmq_queue[] = {"bull:*:wait", "bull:*:prioritized"};

constexpr Traits of_none{.word = "none", .stop = by_term};
// It can only suspend all workers of its Redis at once: no quiet.
constexpr Traits of_rq{.word = "rq",
                       .stop = by_term,
                       .can_be_seen = true,
                       .can_hand_back = true,
                       .queue_keys = rq_queue};
constexpr Traits of_sidekiq{
    .word = "sidekiq",
    .stop = by_term,
    .quiet = tstp,
    .can_be_seen = true,
    .left_alone =
        "a job in hand: plain Sidekiq has taken it off its queue; super_fetch finds its own",
    .queue_keys = sidekiq_queue};
constexpr Traits of_resque{
    .word = "resque",
    .stop = by_quit,
    .quiet = usr2,
    .resume = cont,
    .can_be_seen = true,
    .can_hand_back = true,
    .left_alone =
        "worker:<id>: the next Resque worker to start fails its job by it, and removes it",
    .queue_keys = resque_queue};
constexpr Traits of_dramatiq{.word = "dramatiq",
                             .stop = by_term,
                             .left_alone =
                                 "its acks: the next broker command after its heartbeat_timeout "
                                 "requeues them; ids are anonymous",
                             .queue_keys = dramatiq_queue};
constexpr Traits of_celery{.word = "celery",
                           .stop = by_term,
                           .left_alone =
                               "unacked messages: they carry no owner; the transport restores them "
                               "after visibility_timeout",
                           .queue_keys = celery_queue};
constexpr Traits of_bullmq{
    .word = "bullmq",
    .stop = by_term,
    .left_alone = "the job's lock: its token names nobody; the stalled check requeues the job",
    .queue_keys = bullmq_queue};
constexpr Traits of_custom{.word = "custom",
                           .stop = by_term,
                           .can_be_seen = true,
                           .left_alone = "its jobs: only its set and key are known"};
constexpr Traits of_arq{.word = "arq", .stop = by_term};
constexpr Traits of_huey{.word = "huey", .stop = by_int};
constexpr Traits of_bee_queue{.word = "bee-queue", .stop = by_term};
constexpr Traits of_node_resque{.word = "node-resque", .stop = by_term};

}  // namespace

const Traits& traits(RegistryKind kind) {
    switch (kind) {
        case RegistryKind::none:
            return of_none;
        case RegistryKind::rq:
            return of_rq;
        case RegistryKind::sidekiq:
            return of_sidekiq;
        case RegistryKind::resque:
            return of_resque;
        case RegistryKind::dramatiq:
            return of_dramatiq;
        case RegistryKind::celery:
            return of_celery;
        case RegistryKind::bullmq:
            return of_bullmq;
        case RegistryKind::custom:
            return of_custom;
        case RegistryKind::arq:
            return of_arq;
        case RegistryKind::huey:
            return of_huey;
        case RegistryKind::bee_queue:
            return of_bee_queue;
        case RegistryKind::node_resque:
            return of_node_resque;
    }
    return of_none;
}

}  // namespace muster::core
