// The store as the engine sees it: rows and keys that follow every command, and a promise about
// what of it survives.
//
//   execute commands on env() and keys()
//   store.Reclaim(); Lsn n = store.Seal();   the turn's effects become one batch in the journal
//   store.Flush(inline);                     on its way to the disk
//   ... released() >= n ...                  the replies may leave
//   store.Housekeep();                       now and then: a checkpoint
//
// A failure in mid-flight (an LMDB error, no space for a checkpoint) ends in Recover(): the open
// transaction is dropped, the last checkpoint taken, the journal replayed; start-up does the same.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "store/env.h"
#include "store/journal.h"
#include "store/keyspace.h"
#include "store/reserve.h"

namespace sluice {

// One process, or one server in it, at a time in a directory.
class DirectoryLock {
 public:
  // kBusy when somebody else has it.
  static Result<DirectoryLock> Take(const std::string& dir);
  DirectoryLock() = default;
  DirectoryLock(DirectoryLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  DirectoryLock& operator=(DirectoryLock&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~DirectoryLock();

 private:
  int fd_ = -1;
};

class Store {
 public:
  struct Options {
    std::string dir = ".";
    // false: nothing survives (`appendonly no`); no journal, and the files are unlinked at once.
    bool durable = true;
    FsyncPolicy policy = FsyncPolicy::kAlways;
    int databases = 16;
    // A checkpoint is due after so many bytes of journal or of changed pages, or so much time with
    // changes (the engine's clock calls DueCheckpoint).
    size_t checkpoint_journal_bytes = size_t{32} << 20;
    size_t checkpoint_page_bytes = size_t{16} << 20;
    // Growing commands are refused while the disk has less free space than this.
    uint64_t min_free_bytes = uint64_t{64} << 20;
    // Kept back for pops, acknowledgements and deletes when not even that is left.
    uint64_t reserve_bytes = uint64_t{32} << 20;
    // Called from other threads when released(), full() or failure() may have changed.
    std::function<void()> wake = [] {};
  };

  // kBusy: another process has the directory. kCorrupt, kTooNew: see the message.
  static Result<std::unique_ptr<Store>> Open(Options options);
  // Makes everything durable, if it can.
  ~Store();

  Env& env() { return *env_; }
  Keyspace& keys() { return *keys_; }

  // Ends the turn's changes: returns the LSN that replies of this turn wait for (the last batch's,
  // when this turn has changed nothing).
  Lsn Seal();
  // The turn's effects so far; the engine seals early when a turn's batch grows large.
  size_t batch_bytes() const { return env_->batch().size(); }
  // Sends what was sealed on its way. `inline_sync`: see Journal::Flush.
  void Flush(bool inline_sync);
  Lsn sealed() const { return sealed_; }
  Lsn released() const;
  bool inline_possible() const { return journal_ && journal_->inline_possible(); }

  // Reclaims a slice of what was removed; true when more waits and another turn should follow even
  // if no client asks for one.
  bool Reclaim();
  // Begins a checkpoint if one is due, ends one that the disk has finished. To be called between
  // turns, when everything is sealed and the replies that could leave have left.
  void Housekeep();
  // Begins a checkpoint now, unless nothing has changed or one is under way.
  void BeginCheckpoint();
  bool checkpoint_running() const { return sync_thread_.joinable(); }
  // Something changed since the last checkpoint began.
  bool dirty() const { return sealed_ != env_->lsn(); }
  // Waits: everything durable, in a checkpoint, the journal empty. SAVE and the clean stop.
  Status CheckpointNow();

  // Non-ok: the rows cannot be trusted until Recover(). Look after every command.
  const Status& failure() const { return env_->failure(); }
  // Goes back to what the journal knows. What was not sealed is gone.
  Status Recover();
  // Non-ok: nothing is answered as done any more; only a restart helps.
  Status fatal() const;

  // Growing commands are refused with an error while this is true.
  bool disk_full();
  void SetPolicy(FsyncPolicy policy);
  FsyncPolicy policy() const { return options_.policy; }
  const Options& options() const { return options_; }

  // For INFO.
  struct Stats {
    uint64_t checkpoints = 0;

    uint64_t replayed_batches = 0;
    uint64_t journal_bytes = 0;  // since the last checkpoint
  };
  const Stats& stats() const { return stats_; }
  uint64_t file_bytes() const { return env_->file_bytes(); }

 private:
  explicit Store(Options options) : options_(std::move(options)) {}
  Status OpenAll();
  Status PrepareDirectory();
  Status OpenJournal();
  Status Replay(size_t commit_bytes);
  bool CheckpointDue() const;
  void FinishCheckpoint();
  Status Commit();
  Status ReplayOpenJournal();
  void MakeRoom();

  Options options_;
  DirectoryLock lock_;
  std::unique_ptr<Env> env_;
  std::unique_ptr<Keyspace> keys_;
  std::unique_ptr<Journal> journal_;
  Lsn sealed_ = 0;
  // One per checkpoint: it waits for the disk while the loop goes on.
  std::thread sync_thread_;
  std::atomic<bool> sync_done_{false};
  Status sync_status_;  // the thread's, until sync_done_
  Status fatal_;
  std::string dir_;
  // The disk is full, or nearly so: see disk_full and MakeRoom.
  std::unique_ptr<DiskReserve> reserve_;
  uint64_t bytes_until_space_check_ = 0;
  bool low_space_ = false;
  Stats stats_;
};

}  // namespace sluice
