#include "store/file_journal.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <system_error>
#include <utility>

#include "store/journal_format.h"
#include "store/journal_scan.h"

namespace sluice {
namespace {

constexpr uint64_t kFirstSegment = 1 << 20;  // zero-filled in a millisecond
constexpr size_t kKeptMemory = 8 << 20;      // of each buffer
constexpr std::array<char, kJournalBlock> kZeros{};

}  // namespace

void FileJournal::Batch::Clear() {
  if (bytes.capacity() > kKeptMemory) std::string().swap(bytes);
  bytes.clear();
  done = 0;
}

Result<std::unique_ptr<FileJournal>> FileJournal::Open(const std::string& dir,
                                                       FileJournalOptions options) {
  if (options.segment_bytes < 2 * kJournalBlock || options.segment_bytes % kJournalBlock != 0) {
    return Status(Code::kInvalid, "segment_bytes must be a multiple of 4096, and two at least");
  }
  return std::unique_ptr<FileJournal>(new FileJournal(dir, std::move(options)));
}

FileJournal::FileJournal(std::string dir, FileJournalOptions options)
    : dir_(std::move(dir)),
      options_(std::move(options)),
      files_(options_.files != nullptr ? options_.files : &own_files_),
      policy_(options_.policy),
      space_(std::make_unique<JournalSpace>(
          files_, dir_,
          JournalSpace::Limits{options_.segment_bytes, options_.spare_segments, options_.salt})) {}

FileJournal::~FileJournal() {
  (void)Sync();
  {
    Lock lock(mutex_);
    stop_ = true;
    work_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
  for (auto& segment : sealed_) space_->Close(segment.get());
  for (auto& segment : retired_) space_->Close(segment.get());
  if (active_) space_->Close(active_.get());
  if (ready_) space_->Close(ready_.get());
}

Status FileJournal::ReadFrom(Lsn first, const Reader& reader) {
  if (started_ || first == 0) return Status(Code::kInvalid, "the journal is read once, from 1 on");
  JournalScan scan;
  TRY(ScanJournal(files_, dir_, first, /*settle=*/true, reader, &scan));
  TRY(scan.damage);

  Lock lock(mutex_);
  appended_ = scan.last;
  trimmed_ = first - 1;
  written_ = scan.last;
  durable_ = scan.last;
  // Never continue in an old segment: what a crash left there would look like this run's. And keep
  // the old ones until the new one is there, which makes void what must not be read again.
  TRY(space_->Begin(scan.highest_sequence, scan.last));
  TRY(BeginRun());
  if (full_) TRY(EraseLeftovers(scan));
  for (size_t i = 0; i < scan.segments.size(); i++) {
    auto segment = std::make_unique<JournalSegment>();
    segment->sequence = scan.segments[i].file.sequence;
    segment->size = scan.segments[i].size;
    segment->last = scan.segments[i].last;
    if (segment->last >= first || (full_ && i <= scan.end_segment)) {
      sealed_.push_back(std::move(segment));
    } else {
      space_->Retire(std::move(segment), /*keep_any=*/full_);
    }
  }
  if (full_) {
    TRY(space_->SyncNames());
    TRY(BeginRun());
  }
  if (full_) {
    preparing_ = true;
    RetireCovered();
    Poke();
  }
  CountRoom();
  started_ = true;
  return Status::Ok();
}

// Makes this run's first segment. On a full disk, serve without: a checkpoint will free one.
Status FileJournal::BeginRun() {
  uint64_t bytes = std::min(kFirstSegment, options_.segment_bytes);
  full_ = false;
  while (!active_ && !full_) {
    Result<std::unique_ptr<JournalSegment>> made = space_->Prepare(bytes, bytes, appended_);
    if (made.ok()) {
      active_ = std::move(*made);
    } else if (made.status().code() == Code::kNoSpace) {
      OutOfSpace(made.status());
    } else {
      return made.status();
    }
  }
  return Status::Ok();
}

// Without a segment of this run, nothing makes void what may follow the last record.
Status FileJournal::EraseLeftovers(const JournalScan& scan) {
  if (scan.segments.empty()) return Status::Ok();
  const JournalScan::Segment& segment = scan.segments[scan.end_segment];
  return space_->Erase(segment.file.sequence, scan.end_offset, segment.size);
}

Status FileJournal::Append(Lsn lsn, uint64_t epoch, std::string_view payload) {
  if (failed_.load(std::memory_order_relaxed)) return failure();
  if (!started_ || lsn != appended_ + 1) {
    return Status(Code::kInvalid, "journal: LSN " + std::to_string(lsn) + " after " +
                                      std::to_string(appended_) + " is out of order");
  }
  if (payload.size() > UINT32_MAX) return Status(Code::kInvalid, "journal: a batch of 4 GiB");
  FrameRecord(&staged_.bytes, lsn, epoch, payload);
  appended_ = lsn;
  return Status::Ok();
}

Status FileJournal::Flush(bool inline_sync) {
  if (staged_.empty() && !failed_.load(std::memory_order_relaxed)) return Status::Ok();
  Lock lock(mutex_);
  if (failed_) {
    staged_.Clear();
    return failure_;
  }
  bool always = policy_ == FsyncPolicy::kAlways;
  if (queued_ == 0 && (!always || (inline_sync && !syncing_))) {
    TRY(WriteHere());
  } else {
    Enqueue();
  }
  AskForSegment();
  return starved_ && full_ ? space_status_ : Status::Ok();
}

bool FileJournal::inline_possible() const {
  Lock lock(mutex_);
  return queued_ == 0 && !syncing_;
}

Lsn FileJournal::released() const {
  Lsn durable = durable_.load(std::memory_order_acquire);
  const std::atomic<Lsn>& other = policy() == FsyncPolicy::kAlways ? released_floor_ : written_;
  return std::max(durable, other.load(std::memory_order_acquire));
}

Status FileJournal::failure() const {
  if (!failed_.load(std::memory_order_relaxed)) return Status::Ok();
  Lock lock(mutex_);
  return failure_;
}

void FileJournal::Trim(Lsn covered) {
  Lock lock(mutex_);
  trimmed_ = std::max(trimmed_, covered);
  if (failed_) return;
  AdvanceDurable(covered);
  RetireCovered();
  if (starved_) retry_at_ = {};
  if (!retired_.empty() || starved_) Poke();
}

Status FileJournal::Sync() {
  if (Status status = Flush(true); !status.ok() && status.code() != Code::kNoSpace) return status;
  Lock lock(mutex_);
  while (!failed_ && durable_ < appended_) {
    if (queued_ == 0 && !syncing_) {
      TRY(SyncHere());
    } else if (starved_ && full_) {
      if (dirty_ > 0) sync_at_ = Clock::now();
      retry_at_ = {};
      Poke();
      return space_status_;
    } else {
      done_.wait(lock);
    }
  }
  return failure_;
}

void FileJournal::SetPolicy(FsyncPolicy policy) {
  Lock lock(mutex_);
  released_floor_ = released();
  policy_ = policy;
  sync_at_.reset();
  if (dirty_ == 0 || policy == FsyncPolicy::kNo) return;
  sync_at_ = Clock::now();
  Poke();
}

// --- Writing ------------------------------------------------------------------------------------

FileJournal::Run FileJournal::NextRun(Batch* batch) const {
  Run run;
  if (!active_ || batch->empty()) return run;
  bool align = begin_block_ || policy_ == FsyncPolicy::kAlways;
  run.offset = align ? AlignUp(offset_, kJournalBlock) : offset_;
  run.begin = batch->bytes.data() + batch->done;
  uint64_t left = batch->bytes.size() - batch->done;
  while (run.size < left) {
    const char* record = run.begin + run.size;
    uint64_t size = FramedSize(record);
    if (run.offset + run.size + size > active_->size) break;
    run.size += size;
    run.last = FramedLsn(record);
  }
  return run;
}

// Fills up the last block with zeros: the kernel need not read it first, and replay finds no
// leftovers between two records.
int FileJournal::WriteRun(const Run& run, bool durable) {
  Lsn attested = durable_;
  for (uint64_t at = 0; at < run.size; at += FramedSize(run.begin + at)) {
    SealRecord(run.begin + at, active_->identity, attested);
  }
  uint64_t end = run.offset + run.size;
  uint64_t padding = AlignUp(end, kJournalBlock) - end;
  std::array<iovec, 2> parts{{{run.begin, run.size}, {const_cast<char*>(kZeros.data()), padding}}};
  return files_->Write(active_->fd, run.offset, parts.data(), padding > 0 ? 2 : 1, durable);
}

void FileJournal::BeforeRun(bool durable) {
  if (durable || active_->dirty) return;
  active_->dirty = true;
  dirty_++;
}

void FileJournal::AfterRun(const Run& run, bool durable, Batch* batch) {
  batch->done += run.size;
  offset_ = run.offset + run.size;
  begin_block_ = durable;
  active_->last = run.last;
  written_ = run.last;
  if (durable) {
    AdvanceDurable(run.last);
  } else if (!sync_at_ && policy_ != FsyncPolicy::kNo) {
    bool now = policy_ == FsyncPolicy::kAlways;
    sync_at_ = Clock::now() + (now ? Clock::duration::zero() : options_.sync_interval);
    Poke();
  }
  CountRoom();
}

// On the loop, which is the writer. What does not fit goes to the thread.
Status FileJournal::WriteHere() {
  bool always = policy_ == FsyncPolicy::kAlways;
  while (!staged_.empty()) {
    Run run = NextRun(&staged_);
    if (run.size == 0) {
      if (Roll(staged_)) continue;
      Enqueue();
      return Status::Ok();
    }
    bool durable = always && dirty_ == 0;
    BeforeRun(durable);
    if (int error = WriteRun(run, durable); error < 0) {
      return Latch(Status::FromErrno(-error, "write the journal in " + dir_));
    }
    AfterRun(run, durable, &staged_);
  }
  staged_.Clear();
  return always && dirty_ > 0 ? SyncHere() : Status::Ok();
}

void FileJournal::Enqueue() {
  bool idle = queued_ == 0;
  queued_ += staged_.bytes.size() - staged_.done;
  if (back_.empty() && staged_.done == 0) {
    back_.swap(staged_.bytes);
  } else {
    back_.append(staged_.bytes, staged_.done);
  }
  staged_.Clear();
  CountRoom();
  if (idle) Poke();
}

// Goes on to the next segment, if it can take the batch's next record.
bool FileJournal::Roll(const Batch& batch) {
  if (!ready_) return false;
  if (ready_->capacity() < FramedSize(batch.bytes.data() + batch.done)) {
    RetireSegment(std::move(ready_));
    return false;
  }
  if (active_) sealed_.push_back(std::move(active_));
  active_ = std::move(ready_);
  offset_ = kFirstRecord;
  begin_block_ = false;
  return true;
}

// --- Syncing ------------------------------------------------------------------------------------

// Returns the LSN up to which everything is durable if SyncSegments() succeeds.
Lsn FileJournal::BeginSync() {
  sync_at_.reset();
  sync_fds_.clear();
  auto take = [this](JournalSegment* segment) {
    if (!segment->dirty) return;
    segment->dirty = false;
    sync_fds_.push_back(segment->fd);
  };
  for (auto& segment : sealed_) take(segment.get());
  if (active_) take(active_.get());
  dirty_ = 0;
  begin_block_ = true;
  return written_;
}

int FileJournal::SyncSegments() {
  for (int fd : sync_fds_) {
    if (int error = files_->Sync(fd); error < 0) return error;
  }
  return 0;
}

Status FileJournal::SyncHere() {
  Lsn upto = BeginSync();
  if (int error = SyncSegments(); error < 0) {
    return Latch(Status::FromErrno(-error, "sync the journal in " + dir_));
  }
  AdvanceDurable(upto);
  return Status::Ok();
}

void FileJournal::AdvanceDurable(Lsn lsn) {
  if (lsn > durable_) durable_.store(lsn, std::memory_order_release);
}

Status FileJournal::Latch(Status status) {
  if (failed_) return failure_;
  failure_ = std::move(status);
  failed_ = true;
  done_.notify_all();
  return failure_;
}

// --- Space --------------------------------------------------------------------------------------

void FileJournal::RetireSegment(std::unique_ptr<JournalSegment> segment) {
  if (segment->dirty) dirty_--;  // a checkpoint has what is in it
  retired_.push_back(std::move(segment));
}

// Oldest first.
void FileJournal::RetireCovered() {
  for (; !sealed_.empty() && sealed_.front()->last <= trimmed_; sealed_.pop_front()) {
    RetireSegment(std::move(sealed_.front()));
  }
}

void FileJournal::CountRoom() {
  uint64_t room = ready_ ? ready_->capacity() : 0;
  if (active_) room += active_->size - std::min(active_->size, AlignUp(offset_, kJournalBlock));
  room_ = room - std::min(room, queued_);
}

void FileJournal::AskForSegment() {
  if (preparing_ || ready_) return;
  if (active_ && offset_ - kFirstRecord < active_->capacity() / 4) return;
  preparing_ = true;
  Poke();
}

void FileJournal::OutOfSpace(const Status& status) {
  full_ = true;
  space_status_ = Status(Code::kNoSpace, status.message());
  retry_at_ = Clock::now() + options_.retry_interval;
}

// --- The thread ---------------------------------------------------------------------------------

// Makes the thread look at what there is to do, starting it if need be.
void FileJournal::Poke() {
  if (thread_.joinable()) {
    work_.notify_one();
    return;
  }
  // Signals are for the loop.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    thread_ = std::thread([this] { ThreadMain(); });
  } catch (const std::system_error& error) {
    (void)Latch(Status(Code::kIoError, std::string("start the journal's thread: ") + error.what()));
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void FileJournal::ThreadMain() {
  Lock lock(mutex_);
  while (true) {
    if (!failed_ && Step(&lock)) continue;
    if (stop_) return;
    Wait(&lock);
  }
}

// Does the most urgent thing; false if there is none.
bool FileJournal::Step(Lock* lock) {
  Clock::time_point now = Clock::now();
  if (sync_at_ && (stop_ || *sync_at_ <= now)) {
    SyncLate(lock);
  } else if (queued_ > 0 && !starved_) {
    WriteQueued(lock);
  } else if (!retired_.empty()) {
    Recycle(lock);
  } else if (preparing_ && !(full_ && now < retry_at_) && (!stop_ || queued_ > 0)) {
    PrepareSegment(lock);
  } else {
    return false;
  }
  return true;
}

void FileJournal::Wait(Lock* lock) {
  std::optional<Clock::time_point> until;
  if (!failed_) {
    until = sync_at_;
    if (preparing_ && full_) until = std::min(until.value_or(retry_at_), retry_at_);
  }
  if (until) {
    work_.wait_until(*lock, *until);
  } else {
    work_.wait(*lock);
  }
}

void FileJournal::Announce(Lock* lock) {
  done_.notify_all();
  if (!options_.wake) return;
  lock->unlock();
  options_.wake();
  lock->lock();
}

void FileJournal::WriteQueued(Lock* lock) {
  if (front_.empty()) {
    front_.Clear();
    front_.bytes.swap(back_);
  }
  Run run = NextRun(&front_);
  if (run.size == 0) {
    if (!Roll(front_)) {
      starved_ = preparing_ = true;
      done_.notify_all();  // Sync() does not wait for space
    }
    CountRoom();
    return;
  }
  bool always = policy_ == FsyncPolicy::kAlways;
  bool durable = always && dirty_ == 0;
  BeforeRun(durable);
  lock->unlock();
  int error = WriteRun(run, durable);
  lock->lock();
  if (error < 0) {
    (void)Latch(Status::FromErrno(-error, "write the journal in " + dir_));
  } else {
    queued_ -= run.size;
    AfterRun(run, durable, &front_);
  }
  if (error < 0 || durable || !always) Announce(lock);
}

void FileJournal::SyncLate(Lock* lock) {
  Lsn upto = BeginSync();
  syncing_ = true;
  lock->unlock();
  int error = SyncSegments();
  lock->lock();
  syncing_ = false;
  if (error < 0) {
    (void)Latch(Status::FromErrno(-error, "sync the journal in " + dir_));
  } else {
    AdvanceDurable(upto);
  }
  Announce(lock);
}

void FileJournal::Recycle(Lock* lock) {
  std::vector<std::unique_ptr<JournalSegment>> segments;
  segments.swap(retired_);
  bool keep_any = full_;
  // Without a segment of this run, the last run's make void what must not be read of earlier ones:
  // those must be gone first.
  bool in_order = !active_;
  Status status;
  lock->unlock();
  for (auto& segment : segments) {
    if (in_order && status.ok()) status = space_->SyncNames();
    if (status.ok()) {
      space_->Retire(std::move(segment), keep_any);
    } else {
      space_->Close(segment.get());
    }
  }
  lock->lock();
  if (!status.ok()) (void)Latch(std::move(status));
  retry_at_ = {};  // there may be space again
}

// Each call does a part, so that records never wait long behind it.
void FileJournal::PrepareSegment(Lock* lock) {
  uint64_t least = std::min(kFirstSegment, options_.segment_bytes);
  uint64_t usual = active_ ? std::max(least, 4 * active_->size) : least;
  usual = std::min(usual, options_.segment_bytes);
  // What space there still is belongs to the checkpoint that will give segments back.
  if (full_) usual = least;
  uint64_t minimum = usual;
  if (starved_) {
    uint64_t need = kFirstRecord + FramedSize(front_.bytes.data() + front_.done);
    usual = std::max(usual, need);
    minimum = std::max(minimum, need);
  }
  Lsn attested = durable_;
  lock->unlock();
  Result<std::unique_ptr<JournalSegment>> made = space_->Prepare(usual, minimum, attested);
  lock->lock();
  if (made.ok()) {
    if (!*made) return;
    ready_ = std::move(*made);
    preparing_ = starved_ = full_ = false;
    CountRoom();
  } else if (space_->broken()) {
    (void)Latch(made.status());
  } else {
    bool known = full_;
    OutOfSpace(made.status());
    // Even the current segment may be covered by a checkpoint, and can then be the next one.
    if (starved_ && active_ && active_->last <= trimmed_) RetireSegment(std::move(active_));
    if (known) return;
  }
  Announce(lock);
}

}  // namespace sluice
