#pragma once
// Children's output into files, without the loop ever touching one. A job takes a whole stretch of
// a pipe to its file in a thread of libuv's pool: reads, writes, rotates, until the pipe is empty.
// While it runs it alone has the file and the pipe; the loop hears what became of it.
//
// One file has one job at a time. A disk that hangs holds its jobs for ever: no device gets more
// than two of the pool's four threads, all files together three, so that there is always one left
// to look up a host.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "logs/capture.h"
#include "logs/rotating_file.h"
#include "loop/lifeline.h"
#include "loop/loop.h"
#include "loop/timer.h"

namespace muster::logs {

class FileCapture;
struct Pumping;  // what a job has

// Where the output of one or more streams goes together: one for each path, so that two programs
// that name one file share its rotation.
class LogFile {
public:
    LogFile(class LogFiles& files, std::unique_ptr<RotatingFile> file);
    LogFile(const LogFile&) = delete;
    LogFile& operator=(const LogFile&) = delete;
    ~LogFile();

    // There is something to read; pumped() will tell the capture what became of it.
    void ready(FileCapture& capture);
    void add() { is_shared_ = ++users_ > 1 || is_shared_; }
    void forget(FileCapture& capture);
    // `in_pool` has the file for itself in a thread of the pool; nothing is written between it and
    // the call of `done`. Where the disk hangs `done` hears false, and in_pool may yet run.
    struct Visit {
        std::function<void(RotatingFile& file)> in_pool;
        std::function<void(bool is_done)> done;  // empty: called
    };
    void visit(Visit visit);
    // The last bytes that are in the file, and the one before it. None where the disk hangs.
    using TailDone = std::function<void(std::optional<std::string>)>;
    void tail(std::size_t bytes, TailDone done);
    void reopen();
    // It takes nothing at present: a full disk, or one that hangs.
    [[nodiscard]] bool is_in_trouble() const { return failure_ || is_slow_; }
    // More than one stream: whole lines are kept together then.
    [[nodiscard]] bool is_shared() const { return is_shared_; }
    [[nodiscard]] const std::string& path() const { return file_->path(); }

private:
    friend class LogFiles;
    struct Failure {
        int error;
        TimePoint since;
        std::uint64_t tries = 1;
    };

    [[nodiscard]] bool has_work() const;
    void next();
    void start();
    void start_reopen();
    void start_visit();
    void start_pump();
    void pumped(const std::shared_ptr<Pumping>& pumping);
    void report(const RotatingFile::Written& written);
    void compress();
    void over();  // a job
    void slow();
    void tell_trouble();

    LogFiles& files_;
    std::optional<Rotation> next_rotation_;  // a reload brought it: for when no job has the file
    std::shared_ptr<RotatingFile> file_;     // a job has it, too, and cannot be called back
    std::deque<FileCapture*> ready_;
    std::deque<Visit> visits_;
    std::shared_ptr<Visit> running_visit_;
    const std::uint64_t device_;
    FileCapture* current_ = nullptr;  // whose pipe the job reads
    std::shared_ptr<Pumping> running_;
    std::size_t users_ = 0;
    bool is_shared_ = false;
    bool is_lasting_ = false;  // kept without users: its next one need not open it
    bool is_busy_ = false;
    bool is_queued_ = false;  // for a thread
    bool wants_reopening_ = false;
    bool owes_compression_ = false;
    bool is_compressing_ = false;  // or will be
    bool must_wait_ = false;       // for the compression
    bool is_slow_ = false;
    TimePoint busy_since_;
    std::optional<Failure> failure_;
    std::optional<loop::Timer> retry_;
};

class LogFiles {
public:
    explicit LogFiles(CaptureTools& tools)
        : tools_(tools), slow_timer_(tools.loop, [this] { look_for_slow(); }) {}
    LogFiles(const LogFiles&) = delete;
    LogFiles& operator=(const LogFiles&) = delete;
    ~LogFiles();

    // Opened here and now when it is new: a worker whose log cannot be had is not started. A
    // lasting one is kept open when it has no user, so that only the first of its users can meet a
    // disk that hangs.
    // One that several processes will name keeps lines together from its first byte on.
    struct Use {
        bool is_lasting = false;
        bool is_shared = false;
    };
    Result<LogFile*> open(const std::string& path, Rotation rotation, Use use);
    [[nodiscard]] LogFile* find(const std::string& path) const;  // null: not open
    // Of a log by its path, whether a stream goes there now or not. None where the disk hangs.
    void read(const std::string& path,
              ChooseSlice choose,
              std::function<void(std::optional<FilePiece>)> done);
    // An errno: 0 when it is empty, or was not there.
    void clear(const std::string& path, std::function<void(std::optional<int>)> done);
    void reopen_all();
    [[nodiscard]] std::size_t count() const { return files_.size(); }

private:
    friend class LogFile;
    friend class FileCapture;

    void queue(LogFile& file);
    void job_over(LogFile& file);
    void start_queued();
    [[nodiscard]] bool may_start(const LogFile& file) const;
    [[nodiscard]] std::size_t threads_taken() const;
    void run(std::function<void()> in_pool, std::function<void()> done);
    void compressed(LogFile& file);
    std::shared_ptr<Pumping> take_buffer();
    void give_back(const std::shared_ptr<Pumping>& pumping);
    struct Beside {  // a job with a file that no stream goes to
        std::function<void()> in_pool;
        std::function<void(bool is_done)> done;  // empty: called
        TimePoint asked = {};
    };
    void beside(Beside job);
    void start_beside();
    void look_for_slow();
    void look_for_slow_beside(TimePoint now);
    void forget_unused(LogFile& file);

    CaptureTools& tools_;
    std::map<std::string, std::unique_ptr<LogFile>> files_;
    std::deque<LogFile*> queued_;
    std::deque<LogFile*> to_compress_;
    bool compresses_ = false;  // one at a time
    std::vector<LogFile*> running_;
    std::deque<Beside> beside_;
    std::shared_ptr<Beside> running_beside_;  // one at a time; its device is not known
    std::vector<std::shared_ptr<Pumping>> spare_;
    loop::Timer slow_timer_;  // only while a job runs
    loop::Lifeline lifeline_;
};

}  // namespace muster::logs
