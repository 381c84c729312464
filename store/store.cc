#include "store/store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <random>

#include "store/file_journal.h"
#include "store/journal_scan.h"

namespace sluice {
namespace {

constexpr uint64_t kEpoch = 1;  // a replicated journal will hand out others
constexpr uint64_t kRowsPerSlice = 1000;
constexpr uint64_t kSpaceCheckBytes = 1 << 20;
// On a full disk checkpoints are small and early: they are what lets the journal reuse its files.
constexpr uint64_t kLowSpacePages = 512 << 10;
constexpr uint64_t kLowSpaceJournal = 512 << 10;

}  // namespace

Result<DirectoryLock> DirectoryLock::Take(const std::string& dir) {
  std::string path = dir + "/sluice.lock";
  DirectoryLock lock;
  lock.fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock.fd_ < 0) return Status::FromErrno(errno, path);
  if (::flock(lock.fd_, LOCK_EX | LOCK_NB) != 0) {
    return Status(Code::kBusy, "the directory " + dir + " is in use by another sluice");
  }
  return lock;
}

DirectoryLock::~DirectoryLock() {
  if (fd_ >= 0) ::close(fd_);
}

Result<std::unique_ptr<Store>> Store::Open(Options options) {
  std::unique_ptr<Store> store(new Store(std::move(options)));
  if (Status status = store->OpenAll(); !status.ok()) return status;
  return store;
}

Store::~Store() {
  if (env_ && keys_ && failure().ok() && fatal().ok()) (void)CheckpointNow();
  if (sync_thread_.joinable()) sync_thread_.join();
  journal_.reset();
  env_.reset();
  if (!options_.durable && !dir_.empty()) ::rmdir(dir_.c_str());
}

Status Store::OpenAll() {
  TRY(PrepareDirectory());
  Env::Options env_options;
  env_options.dir = dir_;
  env_options.durable = options_.durable;
  Result<std::unique_ptr<Env>> env = Env::Open(env_options);
  if (!env.ok()) return env.status();
  env_ = std::move(env.value());
  keys_ = std::make_unique<Keyspace>(env_.get(), options_.databases);
  sealed_ = env_->lsn();
  if (options_.durable) {
    reserve_ = std::make_unique<DiskReserve>(dir_, options_.reserve_bytes);
    low_space_ = reserve_->FreeBytes() < options_.min_free_bytes || !reserve_->Take().ok();
    TRY(OpenJournal());
    MakeRoom();
  }
  return keys_->Load();
}

Status Store::PrepareDirectory() {
  dir_ = options_.dir;
  if (!options_.durable) {
    dir_ += "/sluice-XXXXXX";
    if (!::mkdtemp(dir_.data())) return Status::FromErrno(errno, dir_);
    return Status::Ok();
  }
  if (::mkdir(dir_.c_str(), 0755) != 0 && errno != EEXIST) return Status::FromErrno(errno, dir_);
  Result<DirectoryLock> lock = DirectoryLock::Take(dir_);
  if (!lock.ok()) return lock.status();
  lock_ = std::move(*lock);
  return Status::Ok();
}

// Opens the journal and applies what follows the checkpoint that the rows are at. A long one is
// committed on the way; when there is no space for that, not even with the reserve's help, the rows
// have to wait in memory for the checkpoint that makes some.
Status Store::OpenJournal() {
  Status status = Replay(options_.checkpoint_page_bytes);
  if (status.code() != Code::kNoSpace) return status;
  low_space_ = true;
  if (reserve_->held()) {
    reserve_->Release();
    status = Replay(options_.checkpoint_page_bytes);
  }
  return status.code() == Code::kNoSpace ? Replay(SIZE_MAX) : status;
}

// Commits whenever so many bytes of pages have changed.
Status Store::Replay(size_t commit_bytes) {
  TRY(env_->Rollback());
  std::random_device random;
  FileJournalOptions options;
  options.policy = options_.policy;
  options.salt = (uint64_t{random()} << 32) | random();
  options.wake = options_.wake;
  Result<std::unique_ptr<FileJournal>> journal = FileJournal::Open(dir_, options);
  if (!journal.ok()) return journal.status();
  journal_ = std::move(journal.value());
  stats_.journal_bytes = stats_.replayed_batches = 0;
  sealed_ = env_->lsn();
  return journal_->ReadFrom(sealed_ + 1, [&](Lsn lsn, uint64_t epoch, std::string_view batch) {
    TRY(env_->Apply(batch));
    sealed_ = lsn;
    ++stats_.replayed_batches;
    stats_.journal_bytes += batch.size();
    if (env_->dirty_bytes() < commit_bytes) return Status::Ok();
    TRY(env_->Commit(lsn, epoch));
    return env_->SyncCheckpoint();
  });
}

// Brings the rows back to what the journal, which stays open, knows. It can do without any disk
// space.
Status Store::ReplayOpenJournal() {
  Status synced = journal_->Sync();
  if (!synced.ok() && synced.code() != Code::kNoSpace) return synced;
  JournalFiles files;
  JournalScan scan;
  auto apply = [this](Lsn lsn, uint64_t, std::string_view batch) {
    return lsn <= sealed_ ? env_->Apply(batch) : Status::Ok();
  };
  TRY(ScanJournal(&files, dir_, env_->lsn() + 1, /*settle=*/false, apply, &scan));
  TRY(scan.damage);
  if (scan.last >= sealed_) return Status::Ok();
  return Status(Code::kCorrupt, "the journal lacks batches that were sealed");
}

Status Store::Recover() {
  if (sync_thread_.joinable()) FinishCheckpoint();
  TRY(env_->Rollback());
  Status status;
  if (options_.durable && !ReplayOpenJournal().ok()) {
    // What the journal could not write is lost, and nobody was told otherwise.
    journal_.reset();
    status = OpenJournal();
  }
  if (status.ok()) status = keys_->Load();
  if (!status.ok()) fatal_ = status;
  return status;
}

Lsn Store::Seal() {
  keys_->EndTurn();
  const std::string& batch = env_->batch();
  if (batch.empty() || !env_->failure().ok()) return sealed_;
  ++sealed_;
  stats_.journal_bytes += batch.size();
  bytes_until_space_check_ -= std::min<uint64_t>(bytes_until_space_check_, batch.size());
  if (journal_) {
    Status status = journal_->Append(sealed_, kEpoch, batch);
    if (!status.ok() && fatal_.ok()) fatal_ = status;
  }
  env_->ClearBatch();
  return sealed_;
}

void Store::Flush(bool inline_sync) {
  if (!journal_) return;
  Status status = journal_->Flush(inline_sync);
  // A full disk passes: the journal writes by itself once there is room, and replies wait for it.
  if (!status.ok() && status.code() != Code::kNoSpace && fatal_.ok()) fatal_ = status;
}

Lsn Store::released() const { return journal_ ? journal_->released() : sealed_; }

Status Store::fatal() const {
  if (!fatal_.ok()) return fatal_;
  return journal_ && sealed_ != 0 ? journal_->failure() : Status::Ok();
}

bool Store::Reclaim() { return keys_->has_garbage() && keys_->ReclaimSlice(kRowsPerSlice); }

bool Store::CheckpointDue() const {
  if (low_space_ && journal_) {
    if (!reserve_->MayTry()) return false;
    return env_->dirty_bytes() >= kLowSpacePages || stats_.journal_bytes >= kLowSpaceJournal ||
           journal_->full();
  }
  return env_->dirty_bytes() >= options_.checkpoint_page_bytes ||
         stats_.journal_bytes >= options_.checkpoint_journal_bytes;
}

void Store::Housekeep() {
  if (sync_done_.load(std::memory_order_acquire)) FinishCheckpoint();
  // A disk that cannot keep up must not make the changed pages pile up in memory.
  if (sync_thread_.joinable() && env_->dirty_bytes() > 2 * options_.checkpoint_page_bytes) {
    FinishCheckpoint();
  }
  MakeRoom();
  if (CheckpointDue()) BeginCheckpoint();
}

// When the journal finds no space for what comes next, the reserve is its last.
void Store::MakeRoom() {
  if (!journal_ || !journal_->full()) return;
  low_space_ = true;
  if (reserve_->held()) reserve_->Release();
}

// Commits, with the help of the reserve if there is no other space. On failure the rows are what
// they were, still uncommitted.
Status Store::Commit() {
  Status status = env_->Commit(sealed_, kEpoch);
  if (status.ok()) return status;
  low_space_ = low_space_ || status.code() == Code::kNoSpace;
  TRY(Recover());
  if (status.code() != Code::kNoSpace || !reserve_) return status;
  if (reserve_->held()) {
    reserve_->Release();
    status = env_->Commit(sealed_, kEpoch);
    if (status.ok()) return status;
    TRY(Recover());
  }
  reserve_->NoteFailure();
  return status;
}

void Store::BeginCheckpoint() {
  Seal();  // a commit in the middle of a batch would be half of something
  if (sync_thread_.joinable() || !dirty() || !fatal().ok()) return;
  if (!Commit().ok()) return;
  stats_.journal_bytes = 0;
  if (!options_.durable) {
    ++stats_.checkpoints;
    return;
  }
  sync_done_.store(false, std::memory_order_relaxed);
  sync_thread_ = std::thread([this] {
    sync_status_ = env_->SyncCheckpoint();
    sync_done_.store(true, std::memory_order_release);
    options_.wake();
  });
}

// Waits for the disk, if it is not done yet.
void Store::FinishCheckpoint() {
  sync_thread_.join();
  sync_done_.store(false, std::memory_order_relaxed);
  if (!sync_status_.ok()) {
    // The pages may be lost although the kernel no longer says so, and another commit could reuse
    // those of the saved one: only the journal can be trusted.
    if (fatal_.ok()) fatal_ = sync_status_;
    return;
  }
  ++stats_.checkpoints;
  if (journal_) journal_->Trim(env_->lsn());
}

Status Store::CheckpointNow() {
  Seal();
  Flush(false);
  if (journal_) TRY(journal_->Sync());
  if (sync_thread_.joinable()) FinishCheckpoint();
  BeginCheckpoint();
  TRY(fatal());
  if (sync_thread_.joinable()) FinishCheckpoint();
  TRY(fatal());
  return dirty() ? Status(Code::kNoSpace, "no space left for a checkpoint") : Status::Ok();
}

bool Store::disk_full() {
  if (!options_.durable) return false;
  if (!low_space_ && !journal_->full() && bytes_until_space_check_ > 0) return false;
  bytes_until_space_check_ = kSpaceCheckBytes;
  low_space_ =
      journal_->full() || reserve_->FreeBytes() < options_.min_free_bytes || !reserve_->Take().ok();
  return low_space_;
}

void Store::SetPolicy(FsyncPolicy policy) {
  options_.policy = policy;
  if (journal_) journal_->SetPolicy(policy);
}

}  // namespace sluice
