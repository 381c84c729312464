// What the journal's tests share: a directory, a small vocabulary, and files that misbehave.
#pragma once

#include <doctest/doctest.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "store/file_journal.h"
#include "store/journal_files.h"
#include "store/journal_format.h"

namespace sluice {

class TempDir {
 public:
  TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "journal-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

  // The names of a kind of file, in order.
  std::vector<std::string> Names(JournalFileKind kind = JournalFileKind::kSegment) const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      uint64_t sequence;
      JournalFileKind found;
      std::string name = entry.path().filename().string();
      if (ParseJournalFileName(name, &sequence, &found) && found == kind) names.push_back(name);
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  std::string Read(const std::string& name) const {
    std::ifstream in(path_ + "/" + name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void Write(const std::string& name, const std::string& bytes) const {
    std::filesystem::remove(path_ + "/" + name);  // replacing the content would sync it
    std::ofstream(path_ + "/" + name, std::ios::binary | std::ios::trunc) << bytes;
  }
  uint64_t Size(const std::string& name) const {
    return std::filesystem::file_size(path_ + "/" + name);
  }

 private:
  std::string path_;
};

struct ReadRecord {
  Lsn lsn;
  uint64_t epoch;
  std::string payload;
  bool operator==(const ReadRecord&) const = default;
};

// An open journal and what it replayed.
struct Opened {
  std::unique_ptr<FileJournal> journal;
  std::vector<ReadRecord> records;
  Status status;
};

inline Opened OpenJournal(const std::string& dir, FileJournalOptions options = {}, Lsn first = 1) {
  Opened opened;
  auto journal = FileJournal::Open(dir, std::move(options));
  REQUIRE(journal.ok());
  opened.journal = std::move(*journal);
  opened.status =
      opened.journal->ReadFrom(first, [&](Lsn lsn, uint64_t epoch, std::string_view payload) {
        opened.records.push_back({lsn, epoch, std::string(payload)});
        return Status::Ok();
      });
  return opened;
}

inline FileJournalOptions Small(FsyncPolicy policy = FsyncPolicy::kAlways) {
  FileJournalOptions options;
  options.policy = policy;
  options.segment_bytes = 64 << 10;
  options.salt = 42;
  options.sync_interval = std::chrono::milliseconds(20);
  options.retry_interval = std::chrono::milliseconds(10);
  return options;
}

// Appends and flushes one record.
inline void Put(FileJournal& journal, Lsn lsn, const std::string& payload,
                bool inline_sync = true) {
  REQUIRE(journal.Append(lsn, 7, payload).ok());
  REQUIRE(journal.Flush(inline_sync).ok());
}

template <typename Condition>
bool Eventually(Condition condition) {
  for (int i = 0; i < 5000; i++) {
    if (condition()) return true;
    usleep(1000);
  }
  return false;
}

// Real files that fail on demand.
class FaultyFiles : public JournalFiles {
 public:
  std::atomic<int> write_error{0};
  std::atomic<int> sync_error{0};
  std::atomic<int> allocate_error{0};
  std::atomic<int> writes{0};
  std::atomic<int> syncs{0};
  std::atomic<bool> hold{false};  // syncs wait while set

  int Write(int fd, uint64_t offset, iovec* parts, int count, bool durable) override {
    writes++;
    if (durable) Hold();
    if (write_error != 0) return -write_error;
    if (durable && sync_error != 0) return -sync_error;
    return JournalFiles::Write(fd, offset, parts, count, durable);
  }
  int Sync(int fd) override {
    syncs++;
    Hold();
    return sync_error != 0 ? -sync_error : JournalFiles::Sync(fd);
  }
  int Allocate(int fd, uint64_t size) override {
    return allocate_error != 0 ? -allocate_error : JournalFiles::Allocate(fd, size);
  }

 private:
  void Hold() const {
    while (hold) usleep(500);
  }
};

}  // namespace sluice
