// Reading the journal's files: one segment's records, and the chain of records through all of them.
//
// What follows the last record may be anything: zeros, the leftovers of a recycled file, or writes
// that a power cut tore, of which several may have been in flight. That ends the chain cleanly.
// It is damage if anything proves that the next record had been durable. Such proof is an LSN
// attested by a record or a segment header; a record's header has its own checksum and proves it
// even if the payload behind it is torn.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/journal.h"
#include "store/journal_files.h"
#include "store/journal_format.h"
#include "store/result.h"

namespace sluice {

// The records of one segment, in the order of their offsets.
class SegmentReader {
 public:
  struct Record {
    uint64_t offset = 0;
    RecordHeader header;
    uint64_t end() const { return offset + RecordSize(header.length); }
  };

  explicit SegmentReader(JournalFiles* files) : files_(files) {}
  ~SegmentReader() { Close(); }
  SegmentReader(const SegmentReader&) = delete;
  SegmentReader& operator=(const SegmentReader&) = delete;

  // Reads the segment header; a bad one is not a failure but a state. With `settle`, what the
  // kernel has in memory goes to the disk first and is read back from there: after a failed sync
  // the two can differ.
  Status Open(const std::string& path, bool settle);

  HeaderState state() const { return state_; }
  const SegmentHeader& header() const { return header_; }
  uint64_t size() const { return size_; }

  // The next record whose header is good, wherever it is; false at the end of the file.
  Result<bool> Next(Record* record);

  // Where, before the record last returned (or the end), there is something that is neither a
  // record nor zero.
  std::optional<uint64_t> garbage() const { return garbage_; }

  // The record's payload, until the next call of a method; nothing if its checksum is wrong.
  Result<std::optional<std::string_view>> Payload(const Record& record);

 private:
  void Close();
  // The bytes from `offset` on, at least `size` of them unless the file ends.
  Result<std::string_view> View(uint64_t offset, uint64_t size);

  JournalFiles* files_;
  std::string path_;
  int fd_ = -1;
  uint64_t size_ = 0;
  HeaderState state_ = HeaderState::kDamaged;
  SegmentHeader header_;
  SegmentIdentity identity_;
  uint64_t next_ = kFirstRecord;
  std::optional<uint64_t> garbage_;
  std::string window_;
  uint64_t window_at_ = 0;
};

// A journal file in a directory.
struct JournalFile {
  uint64_t sequence = 0;
  JournalFileKind kind = JournalFileKind::kSegment;
  std::string name;
};

// All of them by sequence.
Result<std::vector<JournalFile>> ListJournal(JournalFiles* files, const std::string& dir);

// What a pass over the segments found.
struct JournalScan {
  struct Segment {
    JournalFile file;
    HeaderState state = HeaderState::kDamaged;
    uint64_t size = 0;
    SegmentHeader header;    // if kGood
    Lsn limit = UINT64_MAX;  // records above are void: a later run began there
    Lsn last = 0;            // highest LSN of the chain in it; 0 if none
  };
  std::vector<Segment> segments;  // by sequence
  Lsn first = 0;                  // the first LSN asked for
  Lsn last = 0;                   // the last of the chain; first - 1 if there is none
  uint64_t payload_bytes = 0;     // of the chain
  Lsn attested = 0;               // highest LSN that anything proves to have been durable
  uint64_t highest_sequence = 0;  // of any file, by name or header

  // kCorrupt if the chain ends where it must not. Then `end_segment` and `end_offset` say where:
  // everything before is good, nothing after is part of the chain. Without damage they say where
  // the chain ended.
  Status damage;
  size_t end_segment = 0;
  uint64_t end_offset = kFirstRecord;
};

// Follows the chain from `first`, handing each record to `reader`. Damage is reported in the scan
// and not as a failure; failures are input errors, a too new file, and what the reader returns.
Status ScanJournal(JournalFiles* files, const std::string& dir, Lsn first, bool settle,
                   const Journal::Reader& reader, JournalScan* scan);

}  // namespace sluice
