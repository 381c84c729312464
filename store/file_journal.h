// The journal in local files: see journal.h for what it promises, FORMAT.md for the bytes.
//
// A batch is framed into a buffer by Append(). Flush() either writes the buffer to the current
// segment on the calling thread, or gives it to the journal's thread, which takes everything that
// queued up during one sync into the next. The thread also syncs a second after the first unsynced
// write under kEverySec, prepares the next segment before it is needed, and recycles covered ones.
// It is started when there is something for it to do.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "store/journal.h"
#include "store/journal_files.h"
#include "store/journal_scan.h"
#include "store/journal_space.h"
#include "store/result.h"

namespace sluice {

struct FileJournalOptions {
  FsyncPolicy policy = FsyncPolicy::kAlways;
  // Size of a segment file, a multiple of 4 KiB. The first ones are smaller, so that a new server
  // starts at once.
  uint64_t segment_bytes = 16 << 20;
  // Covered segments kept for reuse, beyond the one that is ready to be written next.
  int spare_segments = 2;
  // Any unpredictable number, a new one at each start. It keeps a client from planting bytes in
  // its values that could pass for a record.
  uint64_t salt = 0;
  // Called as journal.h says. May be empty.
  Journal::Wake wake;
  // How long kEverySec waits, and how long a full disk is left alone.
  std::chrono::milliseconds sync_interval{1000};
  std::chrono::milliseconds retry_interval{500};
  // The operating system's files; tests put something nastier in. Must outlive the journal.
  JournalFiles* files = nullptr;
};

class FileJournal final : public Journal {
 public:
  // A journal in `dir`, an existing directory that no other process uses as a journal (the caller
  // holds a lock on it). Touches no file before ReadFrom().
  static Result<std::unique_ptr<FileJournal>> Open(const std::string& dir,
                                                   FileJournalOptions options);

  // Makes everything appended durable, if it can, and joins the thread.
  ~FileJournal() override;
  FileJournal(const FileJournal&) = delete;
  FileJournal& operator=(const FileJournal&) = delete;

  Status ReadFrom(Lsn first, const Reader& reader) override;
  Status Append(Lsn lsn, uint64_t epoch, std::string_view payload) override;
  Status Flush(bool inline_sync) override;
  bool inline_possible() const override;
  Lsn durable() const override { return durable_.load(std::memory_order_acquire); }
  Lsn released() const override;
  Status failure() const override;
  void Trim(Lsn covered) override;
  Status Sync() override;
  void SetPolicy(FsyncPolicy policy) override;
  FsyncPolicy policy() const override { return policy_.load(std::memory_order_relaxed); }
  uint64_t room() const override { return room_.load(std::memory_order_relaxed); }
  bool full() const override { return full_.load(std::memory_order_relaxed); }

 private:
  using Lock = std::unique_lock<std::mutex>;
  using Clock = std::chrono::steady_clock;

  // Framed records, of which those before `done` are written.
  struct Batch {
    std::string bytes;
    size_t done = 0;

    bool empty() const { return done == bytes.size(); }
    void Clear();  // keeps the memory, unless it is a lot
  };

  // Whole records of a batch that go into the current segment with one write.
  struct Run {
    char* begin = nullptr;
    uint64_t size = 0;
    uint64_t offset = 0;
    Lsn last = 0;
  };

  FileJournal(std::string dir, FileJournalOptions options);

  // Writing; done by whoever is the writer (see queued_).
  Run NextRun(Batch* batch) const;
  int WriteRun(const Run& run, bool durable);

  Status BeginRun();
  Status EraseLeftovers(const JournalScan& scan);

  // Everything from here on needs mutex_, and keeps it where no Lock is passed.
  Status WriteHere();
  void Enqueue();
  void BeforeRun(bool durable);
  void AfterRun(const Run& run, bool durable, Batch* batch);
  bool Roll(const Batch& batch);
  Status SyncHere();
  Lsn BeginSync();
  int SyncSegments();
  void EndSync(Lsn upto);
  void AdvanceDurable(Lsn lsn);
  void RetireCovered();
  void RetireSegment(std::unique_ptr<JournalSegment> segment);
  Status Latch(Status status);
  void CountRoom();
  void AskForSegment();
  void Poke();

  // The thread's steps.
  void ThreadMain();
  bool Step(Lock* lock);
  void WriteQueued(Lock* lock);
  void SyncLate(Lock* lock);
  void Recycle(Lock* lock);
  void PrepareSegment(Lock* lock);
  void OutOfSpace(const Status& status);
  void Announce(Lock* lock);
  void Wait(Lock* lock);

  const std::string dir_;
  const FileJournalOptions options_;
  JournalFiles own_files_;
  JournalFiles* const files_;

  // The loop's alone.
  Batch staged_;
  Lsn appended_ = 0;
  bool started_ = false;  // ReadFrom has succeeded

  // Written under mutex_, read by anyone.
  std::atomic<Lsn> durable_{0};
  std::atomic<Lsn> written_{0};
  std::atomic<Lsn> released_floor_{0};  // what an earlier, laxer policy had released
  std::atomic<FsyncPolicy> policy_;
  std::atomic<uint64_t> room_{0};
  std::atomic<bool> full_{false};
  std::atomic<bool> failed_{false};

  mutable std::mutex mutex_;
  std::condition_variable work_;  // for the thread
  std::condition_variable done_;  // for Sync()
  Status failure_;
  Status space_status_;  // why full_
  Lsn trimmed_ = 0;

  // Bytes given to the thread and not yet written. While there are any, the thread is the writer:
  // active_, offset_, begin_block_ and front_ are its own, even without the lock. Otherwise the
  // loop is, holding the lock.
  uint64_t queued_ = 0;
  Batch front_;           // being written
  std::string back_;      // collecting
  bool starved_ = false;  // front_ waits for a segment

  std::unique_ptr<JournalSegment> active_;  // null only while the disk is full
  uint64_t offset_ = kFirstRecord;          // end of what is written in active_
  bool begin_block_ = false;  // its last block may be durable: the next write begins a new one
  std::unique_ptr<JournalSegment> ready_;                 // for when active_ is used up
  std::deque<std::unique_ptr<JournalSegment>> sealed_;    // by sequence
  std::vector<std::unique_ptr<JournalSegment>> retired_;  // on their way to space_
  bool preparing_ = false;                                // the thread knows that ready_ is wanted
  Clock::time_point retry_at_{};                          // while full_: not before

  size_t dirty_ = 0;                          // how many of active_ and sealed_ are
  std::optional<Clock::time_point> sync_at_;  // when the thread must sync them
  bool syncing_ = false;                      // it does: two syncs at once would share one error
  std::vector<int> sync_fds_;                 // what the sync in progress is about

  std::unique_ptr<JournalSpace> space_;  // the thread's, once there is one
  std::thread thread_;
  bool stop_ = false;
};

}  // namespace sluice
