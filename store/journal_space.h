// The segment files: making them ahead of the writer, and taking them back.
//
// A segment is written and durable before it gets its name, and its name is durable before a
// record goes in. So a file under a segment's name always has a good header, or is damaged.
//
// Nothing here is locked: the owner calls from one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "store/journal_files.h"
#include "store/journal_format.h"
#include "store/result.h"

namespace sluice {

struct JournalSegment {
  uint64_t sequence = 0;
  uint64_t size = 0;
  int fd = -1;  // -1: an earlier run's segment, only read
  SegmentIdentity identity;
  Lsn last = 0;        // of the records in it
  bool dirty = false;  // has bytes that no sync has covered

  uint64_t capacity() const { return size - kFirstRecord; }
};

class JournalSpace {
 public:
  struct Limits {
    uint64_t segment_bytes;
    int spare_segments;
    uint64_t salt;
  };

  JournalSpace(JournalFiles* files, std::string dir, Limits limits)
      : files_(files), dir_(std::move(dir)), limits_(limits) {}
  ~JournalSpace();
  JournalSpace(const JournalSpace&) = delete;
  JournalSpace& operator=(const JournalSpace&) = delete;

  // Begins a run behind `base`, with sequence numbers above `highest`. Of what earlier runs left
  // behind, half-made files go, and free ones are kept for reuse.
  Status Begin(uint64_t highest, Lsn base);

  // Works for about a millisecond on a segment, which is one taken back earlier of at least
  // `minimum` bytes, or a new one of `bytes`. Returns it when it is finished; until then null: call
  // again. `attested` goes into the header.
  //   kNoSpace  nothing is left behind; a later call begins anew
  //   others    kIoError; if it came from a write or a sync, broken() is set
  Result<std::unique_ptr<JournalSegment>> Prepare(uint64_t bytes, uint64_t minimum, Lsn attested);

  // Takes back a segment that nobody needs any more, for reuse or to delete it. With `keep_any`
  // even a small one is kept, because new ones cannot be had.
  void Retire(std::unique_ptr<JournalSegment> segment, bool keep_any);

  // Overwrites a part of a segment with zeros, durably.
  Status Erase(uint64_t sequence, uint64_t from, uint64_t to);

  // Makes what Retire() did so far durable.
  Status SyncNames();

  void Close(JournalSegment* segment);
  bool broken() const { return broken_; }

 private:
  // A file that becomes a segment.
  struct Making {
    JournalSegment segment;
    std::string path;     // until it gets its name
    uint64_t filled = 0;  // bytes known to be written
    bool allocated = false;
  };

  std::string PathOf(uint64_t sequence, JournalFileKind kind) const {
    return dir_ + "/" + JournalFileName(sequence, kind);
  }
  Status Start(uint64_t bytes, uint64_t minimum);
  bool TakeFree(uint64_t minimum);
  Status Fill();
  int WriteZeros(int fd, uint64_t from, uint64_t to);
  Status Finish(Lsn attested);
  Status SyncFailed(int error, const std::string& what);
  void Abandon();

  JournalFiles* files_;
  std::string dir_;
  Limits limits_;
  uint64_t next_sequence_ = 1;
  uint64_t run_ = 0;
  Lsn base_ = 0;
  std::unique_ptr<Making> making_;
  struct Free {
    uint64_t sequence;  // in its name
    uint64_t size;
  };
  std::vector<Free> free_;
  bool broken_ = false;
};

}  // namespace sluice
