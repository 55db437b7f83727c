#include "logs/log_files.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/text.h"
#include "base/time.h"
#include "logs/child_output.h"
#include "logs/file_capture.h"
#include "logs/pumping.h"
#include "loop/work.h"

namespace muster::logs {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t jobs_at_once = 3;
constexpr std::size_t jobs_of_a_device = 2;
constexpr Duration retry_pause = 1s;
constexpr Duration slow_after = 1s;
constexpr std::size_t short_read = std::size_t{16} * 1024;
constexpr std::size_t full_pipe = std::size_t{32} * 1024;  // of the kernel's 64 KiB
constexpr int linger_ms = 1;

}  // namespace

// In a thread of the pool; nothing of the loop's is touched, and nothing is allocated where a log
// does not rotate.
void Pumping::run() {
    result = {};
    is_at_end = is_drained = is_short = false;
    written_tail.clear();
    if (held > 0 && !write_held()) return;
    for (std::size_t moved = 0; !stops;) {
        const ssize_t got = read(pipe->get(), buffer.get() + held, buffer_size - held);
        if (got < 0 && errno == EINTR) continue;
        is_drained = got < 0;
        if (is_drained && lingers && moved >= full_pipe && !stops && comes_more()) continue;
        is_at_end = got == 0;
        if (got > 0) held += static_cast<std::size_t>(got);
        if (!write_held() || got <= 0) return;
        const auto size = static_cast<std::size_t>(got);
        moved += size;
        if (size >= full_pipe && !std::exchange(is_large_pipe, true)) enlarge_pipe(pipe->get());
        is_short = size < short_read;
        if (is_short || is_followed || moved >= quota) return;
    }
}

// A child that writes much at once: its next write is a fraction of a millisecond away, and another
// job for it would cost more than to wait here.
bool Pumping::comes_more() const {
    pollfd readable{.fd = pipe->get(), .events = POLLIN, .revents = 0};
    return poll(&readable, 1, linger_ms) > 0;
}

// False when the file did not take it.
bool Pumping::write_held() {
    std::size_t size = held;
    if (keeps_lines && !is_at_end) {
        const void* end = memrchr(buffer.get(), '\n', held);
        if (end != nullptr)
            size = static_cast<std::size_t>(static_cast<const char*>(end) - buffer.get()) + 1;
        else if (held < buffer_size)
            size = 0;  // a line that fills the buffer is written in parts
    }
    if (size == 0) return true;
    RotatingFile::Written written = file->write({buffer.get(), size}, may_rotate);
    remember({buffer.get(), written.bytes});
    held -= written.bytes;
    if (held > 0) std::memmove(buffer.get(), buffer.get() + written.bytes, held);
    written.has_rotated = written.has_rotated || result.has_rotated;
    if (written.has_rotated && file->rotation().compress) may_rotate = false;
    written.is_new_again = written.is_new_again || result.is_new_again;
    if (!written.not_rotated) written.not_rotated = std::move(result.not_rotated);
    result = std::move(written);
    return result.error == 0 && !result.must_wait;
}

void Pumping::remember(std::string_view written) {
    if (is_followed) {
        written_tail += written;
        return;
    }
    if (written.size() >= tail_size) {
        written_tail.assign(written.substr(written.size() - tail_size));
        return;
    }
    if (written_tail.size() + written.size() > tail_size)
        written_tail.erase(0, written_tail.size() + written.size() - tail_size);
    written_tail += written;
}

LogFile::LogFile(LogFiles& files, std::unique_ptr<RotatingFile> file)
    : files_(files), file_(std::move(file)), device_(file_->device()) {}

LogFile::~LogFile() = default;

void LogFile::forget(FileCapture& capture) {
    std::erase(ready_, &capture);
    if (current_ == &capture) {
        current_ = nullptr;
    } else if (!capture.held_.empty() && !is_busy_ && !failure_) {
        // The very end of the process: the line that was kept back for its end. Once, and short.
        static_cast<void>(file_->write(capture.held_, true));
    }
    --users_;
    files_.forget_unused(*this);
}

void LogFile::ready(FileCapture& capture) {
    ready_.push_back(&capture);
    next();
}

void LogFile::visit(Visit visit) {
    if (is_slow_) return visit.done(false);
    visits_.push_back(std::move(visit));
    next();
}

void LogFile::tail(std::size_t bytes, TailDone done) {
    auto text = std::make_shared<std::string>();
    visit({[text, bytes](const RotatingFile& file) { *text = file.tail(bytes); },
           [text, done = std::move(done)](bool is_done) {
               is_done ? done(std::move(*text)) : done(std::nullopt);
           }});
}

void LogFile::reopen() {
    wants_reopening_ = true;
    next();
}

bool LogFile::has_work() const {
    if (wants_reopening_ || !visits_.empty()) return true;
    return !ready_.empty() && !must_wait_ && (!failure_ || !retry_ || !retry_->is_armed());
}

void LogFile::next() {
    if (!is_busy_ && !is_queued_ && has_work()) files_.queue(*this);
}

void LogFile::start() {
    is_busy_ = true;
    busy_since_ = files_.tools_.loop.now();
    if (next_rotation_ && !is_compressing_ && !owes_compression_)
        file_->set_rotation(*std::exchange(next_rotation_, std::nullopt));
    if (wants_reopening_) return start_reopen();
    if (!visits_.empty()) return start_visit();
    start_pump();
}

void LogFile::over() {
    is_busy_ = false;
    if (std::exchange(is_slow_, false))
        files_.tools_.log.info(
            "log-file-back",
            {{"path", path()}, {"after", format_seconds(files_.tools_.loop.now() - busy_since_)}});
    files_.job_over(*this);
}

void LogFile::start_reopen() {
    wants_reopening_ = false;
    auto outcome = std::make_shared<std::optional<Error>>();
    files_.run(
        [file = file_, outcome] {
            if (auto reopened = file->reopen(); !reopened) *outcome = reopened.error();
        },
        [this, outcome] {
            if (*outcome)
                files_.tools_.log.warn("log-file-not-reopened",
                                       {{"reason", (*outcome)->message()},
                                        {"hint", "what is written goes to the one before"}});
            over();
        });
}

void LogFile::start_visit() {
    running_visit_ = std::make_shared<Visit>(std::move(visits_.front()));
    visits_.pop_front();
    files_.run([file = file_, in_pool = running_visit_->in_pool] { in_pool(*file); },
               [this] {
                   const std::shared_ptr<Visit> visit = std::move(running_visit_);
                   if (visit->done) visit->done(true);
                   over();
               });
}

void LogFile::start_pump() {
    current_ = ready_.front();
    ready_.pop_front();
    const FileCapture& capture = *current_;
    running_ = files_.take_buffer();
    Pumping& pumping = *running_;
    pumping.file = file_;
    pumping.pipe = capture.fd_;
    pumping.held = capture.held_.size();
    std::memcpy(pumping.buffer.get(), capture.held_.data(), capture.held_.size());
    pumping.keeps_lines = is_shared();
    pumping.is_followed = files_.tools_.tails.is_followed(capture.stream_.key);
    pumping.tail_size = Tails::kept_beside_file;
    pumping.may_rotate = !is_compressing_ && !owes_compression_;
    pumping.lingers = files_.queued_.empty() && ready_.empty();
    pumping.is_large_pipe = capture.is_large_pipe_;
    pumping.stops = false;
    files_.run([pumping = running_] { pumping->run(); },
               [this] {
                   const std::shared_ptr<Pumping> done = std::move(running_);
                   pumped(done);
               });
}

void LogFile::pumped(const std::shared_ptr<Pumping>& pumping) {
    FileCapture* const capture = std::exchange(current_, nullptr);
    if (capture != nullptr)
        files_.tools_.tails.append(capture->stream_.key, pumping->written_tail,
                                   Tails::kept_beside_file);
    report(pumping->result);
    if (capture != nullptr) capture->pumped(*pumping);  // may end it
    files_.give_back(pumping);                          // the next job, at once, takes it
    over();                                             // and this, when nobody else needs it
}

void LogFile::report(const RotatingFile::Written& written) {
    Log& log = files_.tools_.log;
    const TimePoint now = files_.tools_.loop.now();
    if (written.is_new_again)
        log.warn("log-file-made-again",
                 {{"path", path()}, {"reason", "somebody removed it, or its folder"}});
    if (written.not_rotated)
        log.warn("log-file-not-rotated", {{"reason", written.not_rotated->message()},
                                          {"hint", written.not_rotated->hint()}});
    if (written.has_rotated && file_->rotation().compress && file_->rotation().keep > 0)
        owes_compression_ = true;
    must_wait_ = written.must_wait && (owes_compression_ || is_compressing_);
    if (written.error != 0) {
        if (failure_) {
            ++failure_->tries;
        } else {
            failure_ = Failure{written.error, now};
            log.error("log-file-failed",
                      {{"path", path()},
                       {"reason", errno_text(written.error)},
                       {"hint",
                        "tried again each second; what cannot be written is kept, and its "
                        "writers wait"}});
        }
        tell_trouble();
        if (!retry_) retry_.emplace(files_.tools_.loop, [this] { next(); });
        retry_->arm(now + retry_pause);
    } else if (failure_ && !written.must_wait) {
        log.info("log-file-back", {{"path", path()},
                                   {"after", format_seconds(now - failure_->since)},
                                   {"tries", std::to_string(failure_->tries)}});
        failure_.reset();
    }
}

// Beside the writing, in a thread of its own: it takes long. Meanwhile the file may become twice as
// large.
void LogFile::compress() {
    owes_compression_ = false;
    auto outcome = std::make_shared<std::optional<Error>>();
    loop::run_in_pool(
        files_.tools_.loop,
        [file = file_, outcome] {
            if (auto done = file->compress_newest(); !done) *outcome = done.error();
        },
        files_.lifeline_.guard([this, outcome] {
            if (*outcome)
                files_.tools_.log.warn(
                    "log-file-not-compressed",
                    {{"reason", (*outcome)->message()}, {"hint", (*outcome)->hint()}});
            is_compressing_ = false;
            must_wait_ = false;
            next();
            files_.compressed(*this);
        }));
}

void LogFile::slow() {
    is_slow_ = true;
    files_.tools_.log.warn(
        "log-file-slow",
        {{"path", path()},
         {"hint", "its disk does not answer; its writers wait, all else goes on"}});
    if (running_) running_->stops = true;
    tell_trouble();
    std::deque<Visit> unanswered = std::exchange(visits_, {});
    if (running_visit_) unanswered.push_back({{}, std::exchange(running_visit_->done, {})});
    for (const Visit& visit : unanswered) {
        if (visit.done) visit.done(false);
    }
}

void LogFile::tell_trouble() {
    if (current_ != nullptr) current_->file_in_trouble();
    for (FileCapture* capture : ready_) capture->file_in_trouble();
}

LogFiles::~LogFiles() = default;

Result<LogFile*> LogFiles::open(const std::string& path, Rotation rotation, Use use) {
    auto& file = files_[path];
    if (!file) {
        auto opened = RotatingFile::open(path, rotation);
        if (!opened) {
            files_.erase(path);
            return opened.error();
        }
        file = std::make_unique<LogFile>(*this, std::move(*opened));
    } else {
        file->next_rotation_ = rotation;
    }
    file->is_lasting_ = file->is_lasting_ || use.is_lasting;
    file->is_shared_ = file->is_shared_ || use.is_shared;
    return file.get();
}

LogFile* LogFiles::find(const std::string& path) const {
    const auto found = files_.find(path);
    return found == files_.end() ? nullptr : found->second.get();
}

void LogFiles::reopen_all() {
    for (const auto& [path, file] : files_) file->reopen();
}

void LogFiles::queue(LogFile& file) {
    file.is_queued_ = true;
    queued_.push_back(&file);
    start_queued();
}

bool LogFiles::may_start(const LogFile& file) const {
    if (threads_taken() >= jobs_at_once) return false;
    const auto of_its_device =
        std::count_if(running_.begin(), running_.end(),
                      [&](const LogFile* other) { return other->device_ == file.device_; });
    const std::size_t beside = running_beside_ ? 1 : 0;  // perhaps of the same device
    return static_cast<std::size_t>(of_its_device) + beside < jobs_of_a_device;
}

// O(queued), and mostly the first: those behind wait for a device whose two threads are taken.
void LogFiles::start_queued() {
    start_beside();
    if (!to_compress_.empty() && !compresses_ && threads_taken() < jobs_at_once) {
        compresses_ = true;
        LogFile& file = *to_compress_.front();
        to_compress_.pop_front();
        file.compress();
    }
    for (std::size_t i = 0; i < queued_.size() && threads_taken() < jobs_at_once;) {
        LogFile& file = *queued_[i];
        if (!may_start(file)) {
            ++i;
            continue;
        }
        queued_.erase(queued_.begin() + static_cast<std::ptrdiff_t>(i));
        file.is_queued_ = false;
        if (!file.has_work()) {
            forget_unused(file);
            continue;
        }
        running_.push_back(&file);
        file.start();
    }
}

void LogFiles::read(const std::string& path,
                    ChooseSlice choose,
                    std::function<void(std::optional<FilePiece>)> done) {
    auto piece = std::make_shared<FilePiece>();
    const auto in_pool = [piece, path, choose] { *piece = read_piece(path, choose); };
    const auto answer = [piece, done](bool is_done) {
        is_done ? done(std::move(*piece)) : done(std::nullopt);
    };
    if (LogFile* file = find(path)) return file->visit({[in_pool](auto&) { in_pool(); }, answer});
    beside({in_pool,
            [this, path, choose = std::move(choose), done = std::move(done), answer](bool is_done) {
                // A process that has begun to write meanwhile: what follows must join.
                if (is_done && find(path) != nullptr) return read(path, choose, done);
                answer(is_done);
            }});
}

void LogFiles::clear(const std::string& path, std::function<void(std::optional<int>)> done) {
    auto error = std::make_shared<int>(0);
    const auto answer = [error, done = std::move(done)](bool is_done) {
        is_done ? done(*error) : done(std::nullopt);
    };
    if (LogFile* file = find(path))
        return file->visit({[error](RotatingFile& open) {
                                if (!open.clear()) *error = EIO;
                            },
                            answer});
    beside({[error, path] {
                if (unlink(path.c_str()) != 0 && errno != ENOENT) *error = errno;
            },
            answer});
}

void LogFiles::beside(Beside job) {
    job.asked = tools_.loop.now();
    beside_.push_back(std::move(job));
    start_beside();
    if (!slow_timer_.is_armed()) slow_timer_.arm(tools_.loop.now() + slow_after);
}

// Only while two threads are free, so that it leaves one whatever its disk does.
void LogFiles::start_beside() {
    if (running_beside_ || beside_.empty() || threads_taken() + 1 >= jobs_at_once) return;
    running_beside_ = std::make_shared<Beside>(std::move(beside_.front()));
    beside_.pop_front();
    run([job = running_beside_] { job->in_pool(); },
        [this] {
            const std::shared_ptr<Beside> job = std::move(running_beside_);
            if (job->done) job->done(true);
            start_queued();
        });
}

// The caller is answered, and so is who waits for a thread; the thread itself is waited for.
void LogFiles::look_for_slow_beside(TimePoint now) {
    const auto take_late = [&](Beside& job) {
        std::function<void(bool)> done;
        if (now - job.asked >= slow_after) done = std::exchange(job.done, {});
        return done;
    };
    std::vector<std::function<void(bool)>> late;
    if (running_beside_) late.push_back(take_late(*running_beside_));
    for (Beside& job : beside_) late.push_back(take_late(job));
    std::erase_if(beside_, [](const Beside& job) { return !job.done; });
    for (const auto& done : late) {
        if (done) done(false);
    }
}

void LogFiles::run(std::function<void()> in_pool, std::function<void()> done) {
    if (!slow_timer_.is_armed()) slow_timer_.arm(tools_.loop.now() + slow_after);
    loop::run_in_pool(tools_.loop, std::move(in_pool),
                      lifeline_.guard([done = std::move(done)] { done(); }));
}

void LogFiles::job_over(LogFile& file) {
    std::erase(running_, &file);
    if (file.owes_compression_ && !std::exchange(file.is_compressing_, true))
        to_compress_.push_back(&file);
    file.next();
    start_queued();
    forget_unused(file);
}

std::size_t LogFiles::threads_taken() const {
    return running_.size() + (compresses_ ? 1 : 0) + (running_beside_ ? 1 : 0);
}

void LogFiles::compressed(LogFile& file) {
    compresses_ = false;
    forget_unused(file);
    start_queued();
}

std::shared_ptr<Pumping> LogFiles::take_buffer() {
    if (!spare_.empty()) {
        auto pumping = std::move(spare_.back());
        spare_.pop_back();
        return pumping;
    }
    auto pumping = std::make_shared<Pumping>();
    pumping->buffer = std::make_unique_for_overwrite<char[]>(Pumping::buffer_size);
    pumping->written_tail.reserve(2 * Tails::kept_beside_file);
    return pumping;
}

void LogFiles::give_back(const std::shared_ptr<Pumping>& pumping) {
    pumping->file.reset();
    pumping->pipe.reset();
    spare_.push_back(pumping);
}

void LogFiles::look_for_slow() {
    const TimePoint now = tools_.loop.now();
    for (LogFile* file : running_) {
        if (!file->is_slow_ && now - file->busy_since_ >= slow_after) file->slow();
    }
    look_for_slow_beside(now);
    if (!running_.empty() || running_beside_ || !beside_.empty())
        slow_timer_.arm(now + slow_after / 2);
}

void LogFiles::forget_unused(LogFile& file) {
    if (file.users_ > 0 || file.is_lasting_ || file.is_busy_ || file.is_queued_ ||
        file.is_compressing_ || !file.visits_.empty())
        return;
    const std::string path = file.path();
    files_.erase(path);
}

}  // namespace muster::logs
