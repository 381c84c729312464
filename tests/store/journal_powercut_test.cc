// Random work on a simulated disk that loses power, the process, or a sync, at any moment.
//
// The model of the disk is an unkind one. What was not synced reaches it sector by sector, in any
// order, in part or not at all, and sectors under way may come out as garbage. A failed sync leaves
// in memory what the disk does not have. Directory changes that were not synced may be lost singly.
#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <thread>

#include "tests/store/journal_fixture.h"

namespace sluice {
namespace {

constexpr size_t kSector = 512;

class SimulatedDisk : public JournalFiles {
 public:
  explicit SimulatedDisk(uint32_t seed) : random_(seed) {}

  std::atomic<int> fail_one_in{0};  // of the syncs
  std::atomic<bool> full{false};
  std::atomic<bool> failed{false};  // a sync has

  // The same files as another process finds them after this one was killed.
  std::unique_ptr<SimulatedDisk> AfterKill() {
    return Copy([](File&) {}, names_);
  }

  std::unique_ptr<SimulatedDisk> AfterPowerCut() {
    std::lock_guard lock(mutex_);
    size_t luck = Roll(101);
    Names names = durable_names_;
    for (auto& change : changes_) {
      if (Roll(100) < luck) change(&names);
    }
    luck = Roll(101);
    return CopyLocked(
        [&](File& file) {
          for (const Pending& p : file.pending) {
            if (Roll(100) >= luck) continue;
            Place(&file.durable, p.offset, p.bytes);
            if (Roll(50) == 0) {
              for (size_t i = 0; i < p.bytes.size(); i++) {
                file.durable[p.offset + i] = static_cast<char>(random_());
              }
            }
          }
          file.pending.clear();
          file.cached = file.durable;
        },
        names);
  }

  int List(const std::string& dir, std::vector<std::string>* names) override {
    std::lock_guard lock(mutex_);
    names->clear();
    for (auto& [path, id] : names_) names->push_back(path.substr(dir.size() + 1));
    return 0;
  }
  int Open(const std::string& path, bool create) override {
    std::lock_guard lock(mutex_);
    auto it = names_.find(path);
    if (it == names_.end()) {
      if (!create) return -ENOENT;
      if (full) return -ENOSPC;
      int id = next_++;
      files_[id] = {};
      Change([path, id](Names* names) { (*names)[path] = id; });
      return id;
    }
    if (create) files_[it->second] = {};
    return it->second;
  }
  void Close(int) override {}
  int64_t Size(int fd) override {
    std::lock_guard lock(mutex_);
    return static_cast<int64_t>(files_[fd].cached.size());
  }
  int64_t Read(int fd, uint64_t offset, char* to, size_t size) override {
    std::lock_guard lock(mutex_);
    const std::string& bytes = files_[fd].cached;
    if (offset >= bytes.size()) return 0;
    size = std::min<size_t>(size, bytes.size() - offset);
    std::memcpy(to, bytes.data() + offset, size);
    return static_cast<int64_t>(size);
  }
  int Write(int fd, uint64_t offset, iovec* parts, int count, bool durable) override {
    std::lock_guard lock(mutex_);
    File& file = files_[fd];
    std::string bytes;
    for (int i = 0; i < count; i++) {
      bytes.append(static_cast<char*>(parts[i].iov_base), parts[i].iov_len);
    }
    if (full && offset + bytes.size() > file.cached.size()) return -ENOSPC;
    Place(&file.cached, offset, bytes);
    size_t before = file.pending.size();
    // Whole sectors, as the kernel has them in memory.
    uint64_t end = offset + bytes.size();
    for (uint64_t at = offset / kSector * kSector; at < end; at += kSector) {
      file.pending.push_back({at, file.cached.substr(at, kSector)});
    }
    if (!durable) return 0;
    if (SyncFails()) return Lose(&file);
    // Only these sectors are durable now; earlier writes to others still are not.
    for (size_t i = before; i < file.pending.size(); i++) {
      Place(&file.durable, file.pending[i].offset, file.pending[i].bytes);
    }
    uint64_t begin = offset / kSector * kSector;
    std::erase_if(file.pending,
                  [&](const Pending& p) { return p.offset >= begin && p.offset < end; });
    return 0;
  }
  int Allocate(int, uint64_t) override { return full ? -ENOSPC : 0; }
  int Sync(int fd) override {
    std::lock_guard lock(mutex_);
    File& file = files_[fd];
    if (SyncFails()) return Lose(&file);
    for (const Pending& p : file.pending) Place(&file.durable, p.offset, p.bytes);
    file.pending.clear();
    return 0;
  }
  void DropCache(int fd) override {
    std::lock_guard lock(mutex_);
    File& file = files_[fd];
    if (file.pending.empty()) file.cached = file.durable;
  }
  int Rename(const std::string& from, const std::string& to) override {
    std::lock_guard lock(mutex_);
    if (names_.count(from) == 0) return -ENOENT;
    Change([from, to, id = names_[from]](Names* names) {
      (*names)[to] = id;
      names->erase(from);
    });
    return 0;
  }
  int Remove(const std::string& path) override {
    std::lock_guard lock(mutex_);
    if (names_.count(path) == 0) return -ENOENT;
    Change([path](Names* names) { names->erase(path); });
    return 0;
  }
  int SyncDir(const std::string&) override {
    std::lock_guard lock(mutex_);
    durable_names_ = names_;
    changes_.clear();
    return 0;
  }

 private:
  struct Pending {
    uint64_t offset;
    std::string bytes;
  };
  struct File {
    std::string cached, durable;
    std::vector<Pending> pending;
  };
  using Names = std::map<std::string, int>;

  static void Place(std::string* file, uint64_t offset, const std::string& bytes) {
    if (file->size() < offset + bytes.size()) file->resize(offset + bytes.size());
    file->replace(offset, bytes.size(), bytes);
  }
  size_t Roll(size_t sides) { return random_() % sides; }
  void Change(std::function<void(Names*)> change) {
    change(&names_);
    changes_.push_back(std::move(change));
  }
  bool SyncFails() { return fail_one_in > 0 && Roll(static_cast<size_t>(fail_one_in)) == 0; }
  // Some of it reached the disk. None of it will be tried again.
  int Lose(File* file) {
    failed = true;
    for (const Pending& p : file->pending) {
      if (Roll(2) == 0) Place(&file->durable, p.offset, p.bytes);
    }
    file->pending.clear();
    return -EIO;
  }
  template <typename Edit>
  std::unique_ptr<SimulatedDisk> Copy(Edit edit, const Names& names) {
    std::lock_guard lock(mutex_);
    return CopyLocked(edit, names);
  }
  template <typename Edit>
  std::unique_ptr<SimulatedDisk> CopyLocked(Edit edit, const Names& names) {
    auto copy = std::make_unique<SimulatedDisk>(static_cast<uint32_t>(random_()));
    copy->files_ = files_;
    copy->names_ = names;
    copy->durable_names_ = names;
    copy->next_ = next_;
    for (auto& [id, file] : copy->files_) edit(file);
    return copy;
  }

  std::mutex mutex_;
  std::mt19937 random_;
  std::map<int, File> files_;
  Names names_, durable_names_;
  std::vector<std::function<void(Names*)>> changes_;
  int next_ = 100;
};

// A server's life, many times over: whatever was promised is there afterwards.
class Life {
 public:
  explicit Life(uint32_t seed)
      : random_(seed), disk_(std::make_unique<SimulatedDisk>(static_cast<uint32_t>(seed * 7))) {}

  void Run(int lives) {
    for (int life = 0; life < lives; life++) {
      Open(life);
      Work(static_cast<int>(Roll(120)));
      End();
    }
  }

 private:
  size_t Roll(size_t sides) { return random_() % sides; }

  void Open(int life) {
    life_ = life;
    disk_->full = Roll(6) == 0;
    disk_->fail_one_in = 0;
    FileJournalOptions options = Small(static_cast<FsyncPolicy>(Roll(3)));
    options.files = disk_.get();
    options.segment_bytes = 32 << 10;
    options.sync_interval = std::chrono::milliseconds(1);
    options.retry_interval = std::chrono::milliseconds(1);
    opened_ = OpenJournal("disk", options, checkpoint_ + 1);
    CAPTURE(opened_.status.message());
    REQUIRE(opened_.status.ok());
    Lsn last = checkpoint_ + opened_.records.size();
    REQUIRE(last >= promised_);
    for (const ReadRecord& record : opened_.records) {
      REQUIRE(record.lsn <= history_.size());
      bool same = record.payload == history_[record.lsn - 1];
      REQUIRE(same);
    }
    history_.resize(last);
    promised_ = last;  // what was replayed counts as durable
    REQUIRE(opened_.journal->durable() == last);
    if (Roll(4) == 0) disk_->fail_one_in = 30;
  }

  void Work(int turns) {
    FileJournal& journal = *opened_.journal;
    for (int turn = 0; turn < turns; turn++) {
      for (size_t n = Roll(3) + 1; n > 0; n--) {
        std::string payload = std::to_string(life_) + "/" + std::to_string(history_.size());
        payload.append(Roll(10) == 0 ? Roll(9000) : Roll(300), 'p');
        if (Roll(200) == 0) payload.append(50000, 'b');
        if (!journal.Append(history_.size() + 1, 7, payload).ok()) return;
        history_.push_back(payload);
      }
      (void)journal.Flush(Roll(2) == 0);
      REQUIRE(journal.released() <= history_.size());
      if (Roll(30) == 0) journal.SetPolicy(static_cast<FsyncPolicy>(Roll(3)));
      if (Roll(20) == 0) {
        checkpoint_ = std::max<Lsn>(checkpoint_, history_.size() - Roll(history_.size() + 1) / 4);
        journal.Trim(checkpoint_);
      }
      if (Roll(60) == 0) disk_->full = !disk_->full;
      if (Roll(40) == 0) usleep(2000);
      if (Roll(60) == 0 && !disk_->full) (void)journal.Sync();
    }
  }

  void End() {
    FileJournal& journal = *opened_.journal;
    std::unique_ptr<SimulatedDisk> next;
    switch (Roll(4)) {
      case 0: {  // power cut; first the promise, then the disk: it may only have more
        promised_ = std::max(promised_, journal.durable());
        next = disk_->AfterPowerCut();
        break;
      }
      case 1: {  // killed
        // In this order: the journal's thread goes on, and may meet a failing sync just now.
        Lsn durable = journal.durable(), released = journal.released();
        next = disk_->AfterKill();
        promised_ = std::max(promised_, disk_->failed ? durable : released);
        break;
      }
      case 2: {  // a clean end
        disk_->full = false;
        if (journal.Sync().ok()) promised_ = history_.size();
        promised_ = std::max(promised_, journal.durable());
        opened_.journal.reset();
        next = disk_->AfterPowerCut();
        break;
      }
      default: {  // recovery inside the process, as after a failed sync
        promised_ = std::max(promised_, journal.durable());
        opened_.journal.reset();
        return;
      }
    }
    opened_.journal.reset();
    disk_ = std::move(next);
  }

  std::mt19937 random_;
  std::unique_ptr<SimulatedDisk> disk_;
  int life_ = 0;
  Opened opened_;
  std::vector<std::string> history_;  // by LSN - 1
  Lsn checkpoint_ = 0;
  Lsn promised_ = 0;
};

TEST_CASE("random work, crashes and failures: nothing promised is lost, nothing else is refused") {
  int seeds = 60;
  uint32_t first = 1;
  if (const char* more = getenv("JOURNAL_SEEDS")) seeds = atoi(more);
  if (const char* from = getenv("JOURNAL_SEED")) first = static_cast<uint32_t>(atoi(from));
  for (uint32_t seed = first; seed < first + static_cast<uint32_t>(seeds); seed++) {
    CAPTURE(seed);
    Life(seed).Run(25);
  }
}

}  // namespace
}  // namespace sluice
