// Arbitrary bytes as the journal's files: replay, check and repair must neither crash nor hang,
// and what a repair leaves must be a journal.
//
// The input is a list of parts. Raw bytes go into the files as they are; with the right checksums
// added, a mutation reaches further than the first comparison.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "store/file_journal.h"
#include "store/journal_check.h"
#include "store/journal_format.h"

namespace sluice {
namespace {

// A directory in memory.
class MemoryFiles : public JournalFiles {
 public:
  std::map<std::string, int> names;
  std::map<int, std::string> files;

  int List(const std::string& dir, std::vector<std::string>* found) override {
    found->clear();
    for (auto& [path, id] : names) found->push_back(path.substr(dir.size() + 1));
    return 0;
  }
  int Open(const std::string& path, bool create) override {
    auto it = names.find(path);
    if (it != names.end() && !create) return it->second;
    if (!create) return -ENOENT;
    int id = static_cast<int>(files.size());
    files[id];
    return names[path] = id;
  }
  void Close(int) override {}
  int64_t Size(int fd) override { return static_cast<int64_t>(files[fd].size()); }
  int64_t Read(int fd, uint64_t offset, char* to, size_t size) override {
    const std::string& bytes = files[fd];
    if (offset >= bytes.size()) return 0;
    size = std::min<size_t>(size, bytes.size() - offset);
    std::memcpy(to, bytes.data() + offset, size);
    return static_cast<int64_t>(size);
  }
  int Write(int fd, uint64_t offset, iovec* parts, int count, bool) override {
    std::string& bytes = files[fd];
    for (int i = 0; i < count; i++) {
      size_t size = parts[i].iov_len;
      if (bytes.size() < offset + size) bytes.resize(offset + size);
      std::memcpy(bytes.data() + offset, parts[i].iov_base, size);
      offset += size;
    }
    return 0;
  }
  int Allocate(int, uint64_t) override { return 0; }
  int Sync(int) override { return 0; }
  void DropCache(int) override {}
  int Rename(const std::string& from, const std::string& to) override {
    names[to] = names[from];
    names.erase(from);
    return 0;
  }
  int Remove(const std::string& path) override {
    names.erase(path);
    return 0;
  }
  int SyncDir(const std::string&) override { return 0; }
};

class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  bool empty() const { return size_ == 0; }
  uint64_t Number(size_t bytes) {
    uint64_t value = 0;
    for (size_t i = 0; i < bytes && size_ > 0; i++, data_++, size_--) value = value << 8 | *data_;
    return value;
  }
  std::string Bytes(size_t wanted) {
    wanted = std::min(wanted, size_);
    std::string bytes(reinterpret_cast<const char*>(data_), wanted);
    data_ += wanted;
    size_ -= wanted;
    return bytes;
  }

 private:
  const uint8_t* data_;
  size_t size_;
};

// Of the same run as the one before, or of a new one.
std::string NewSegment(Input* input, uint64_t sequence, SegmentHeader* header) {
  header->sequence = sequence;
  header->salt = input->Number(1);
  header->attested = input->Number(1);
  uint64_t base = input->Number(1);
  if (header->run == 0 || base % 2 == 0) {
    header->run = sequence;
    header->base = base;
  }
  auto bytes = EncodeSegmentHeader(*header);
  std::string segment(bytes.data(), bytes.size());
  segment.resize(kFirstRecord);
  return segment;
}

void BuildFiles(Input* input, MemoryFiles* files) {
  uint64_t sequence = 1;
  int file = -1;
  SegmentHeader header;
  SegmentIdentity identity;
  while (!input->empty() && files->files.size() < 8) {
    uint8_t what = static_cast<uint8_t>(input->Number(1)) % 8;
    if (file < 0 || what == 0) {  // a good segment header
      file = files->Open("d/" + JournalFileName(sequence, JournalFileKind::kSegment), true);
      files->files[file] = NewSegment(input, sequence, &header);
      identity = IdentityOf(header);
      sequence += 1 + input->Number(1) % 3;
    } else if (what == 1) {  // a raw one, or a file of another kind
      auto kind = static_cast<JournalFileKind>(input->Number(1) % 3);
      file = files->Open("d/" + JournalFileName(sequence++, kind), true);
      files->files[file] = input->Bytes(input->Number(2));
    } else if (what <= 4) {  // a good record
      std::string record;
      Lsn lsn = input->Number(1);
      FrameRecord(&record, lsn, input->Number(1), input->Bytes(input->Number(1)));
      SealRecord(record.data(), identity, input->Number(1));
      if (what == 4 && !record.empty()) record[input->Number(2) % record.size()] ^= 1;
      files->files[file] += record;
    } else if (what == 5) {  // to the next block
      std::string& bytes = files->files[file];
      bytes.resize(AlignUp(bytes.size(), kJournalBlock));
    } else if (what == 6) {
      files->files[file] += input->Bytes(input->Number(1));
    } else {  // a raw record header with the right tag, and the right checksum for any length
      std::string record;
      FrameRecord(&record, input->Number(1), 0, "");
      uint32_t length = static_cast<uint32_t>(input->Number(4));
      std::memcpy(record.data() + 4, &length, sizeof length);
      SealRecord(record.data(), identity, input->Number(1));
      files->files[file] += record;
    }
  }
}

void Require(bool condition) {
  if (!condition) abort();
}

void Run(const uint8_t* data, size_t size) {
  Input input(data, size);
  Lsn covered = input.Number(1);
  MemoryFiles files;
  BuildFiles(&input, &files);
  Result<JournalReport> report = CheckJournal("d", covered, &files);
  if (!report.ok()) {
    Require(report.status().code() == Code::kTooNew);
    return;
  }
  Lsn last = report->last;
  if (!report->damage.ok()) {
    Result<JournalReport> repaired = RepairJournal("d", covered, &files);
    Require(repaired.ok());
    Require(repaired->damaged_offset == report->damaged_offset);
    report = CheckJournal("d", covered, &files);
    Require(report.ok() && report->damage.ok() && report->last == last);
  }
  FileJournalOptions options;
  options.segment_bytes = 8 << 10;
  options.files = &files;
  {
    auto journal = FileJournal::Open("d", options);
    Lsn next = covered + 1;
    auto reader = [&](Lsn lsn, uint64_t, std::string_view) {
      Require(lsn == next++);
      return Status::Ok();
    };
    Require((*journal)->ReadFrom(covered + 1, reader).ok());
    Require(next == last + 1);
    Require((*journal)->Append(next, 1, "new").ok());
    Require((*journal)->Flush(true).ok());
  }
  report = CheckJournal("d", covered, &files);
  Require(report.ok() && report->damage.ok() && report->last == last + 1);
}

}  // namespace
}  // namespace sluice

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  sluice::Run(data, size);
  return 0;
}
