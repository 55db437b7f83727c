#include "loop/work.h"

#include <cstdlib>
#include <memory>
#include <utility>

namespace muster::loop {

namespace {

struct Request {
    uv_work_t raw{};
    std::function<void()> in_pool;
    std::function<void()> done;
};

}  // namespace

void run_in_pool(Loop& loop, std::function<void()> in_pool, std::function<void()> done) {
    auto request = std::make_unique<Request>();
    request->raw.data = request.get();
    request->in_pool = std::move(in_pool);
    request->done = std::move(done);
    const int status = uv_queue_work(
        loop.raw(), &request->raw,
        [](uv_work_t* raw) { static_cast<Request*>(raw->data)->in_pool(); },
        [](uv_work_t* raw, int) {
            const std::unique_ptr<Request> finished(static_cast<Request*>(raw->data));
            finished->done();
        });
    if (status != 0) std::abort();  // only for a request without work
    static_cast<void>(request.release());
}

}  // namespace muster::loop
