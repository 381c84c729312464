#include "store/journal_scan.h"

#include <algorithm>
#include <cstring>

#include "store/crc32c.h"

namespace sluice {
namespace {

constexpr uint64_t kWindow = 256 << 10;

}  // namespace

void SegmentReader::Close() {
  if (fd_ >= 0) files_->Close(fd_);
  fd_ = -1;
}

Status SegmentReader::Open(const std::string& path, bool settle) {
  Close();
  path_ = path;
  window_.clear();
  window_at_ = 0;
  next_ = kFirstRecord;
  state_ = HeaderState::kDamaged;
  fd_ = files_->Open(path, false);
  if (fd_ < 0) return Status::FromErrno(-fd_, "open " + path);
  if (settle) {
    if (int error = files_->Sync(fd_); error < 0) return Status::FromErrno(-error, "sync " + path);
    files_->DropCache(fd_);
  }
  int64_t size = files_->Size(fd_);
  if (size < 0) return Status::FromErrno(static_cast<int>(-size), "stat " + path);
  size_ = static_cast<uint64_t>(size);
  Result<std::string_view> bytes = View(0, kSegmentHeaderSize);
  if (!bytes.ok()) return bytes.status();
  state_ = DecodeSegmentHeader(*bytes, &header_);
  identity_ = IdentityOf(header_);
  return Status::Ok();
}

Result<std::string_view> SegmentReader::View(uint64_t offset, uint64_t size) {
  size = std::min(size, size_ - std::min(offset, size_));
  if (offset < window_at_ || offset + size > window_at_ + window_.size()) {
    // The segment's own size bounds this: a length that a header claims was checked against it.
    uint64_t wanted = std::min(std::max(size, kWindow), size_ - offset);
    window_.resize(wanted);
    window_at_ = offset;
    int64_t got = files_->Read(fd_, offset, window_.data(), wanted);
    if (got < 0) {
      window_.clear();
      return Status::FromErrno(static_cast<int>(-got),
                               "read " + path_ + " at offset " + std::to_string(offset));
    }
    window_.resize(static_cast<size_t>(got));
  }
  return std::string_view(window_).substr(offset - window_at_);
}

Result<bool> SegmentReader::Next(Record* record) {
  garbage_.reset();
  while (next_ + kRecordHeaderSize <= size_) {
    Result<std::string_view> view = View(next_, kRecordHeaderSize);
    if (!view.ok()) return view.status();
    if (view->size() < kRecordHeaderSize) break;  // the file shrank
    const char* begin = view->data();
    const char* end = begin + view->size() - kRecordHeaderSize;
    for (const char* p = begin; p <= end; p += kJournalAlign) {
      uint64_t word;
      std::memcpy(&word, p, sizeof word);
      if (word == 0) continue;
      uint64_t offset = next_ + static_cast<uint64_t>(p - begin);
      if (static_cast<uint32_t>(word) == identity_.tag) {
        std::optional<RecordHeader> header = DecodeRecordHeader(p, identity_);
        if (header && header->length <= size_ - offset - kRecordHeaderSize) {
          *record = Record{offset, *header};
          next_ = record->end();
          return true;
        }
      }
      if (!garbage_) garbage_ = offset;
    }
    next_ += static_cast<uint64_t>(end - begin) / kJournalAlign * kJournalAlign + kJournalAlign;
  }
  return false;
}

Result<std::optional<std::string_view>> SegmentReader::Payload(const Record& record) {
  Result<std::string_view> view = View(record.offset + kRecordHeaderSize, record.header.length);
  if (!view.ok()) return view.status();
  std::optional<std::string_view> payload;
  if (view->size() >= record.header.length) {
    payload = view->substr(0, record.header.length);
    if (Crc32c(0, payload->data(), payload->size()) != record.header.payload_crc) payload.reset();
  }
  return payload;
}

Result<std::vector<JournalFile>> ListJournal(JournalFiles* files, const std::string& dir) {
  std::vector<std::string> names;
  int error = files->List(dir, &names);
  if (error < 0) return Status::FromErrno(-error, "list " + dir);
  std::vector<JournalFile> found;
  for (std::string& name : names) {
    JournalFile file;
    if (!ParseJournalFileName(name, &file.sequence, &file.kind)) continue;
    file.name = std::move(name);
    found.push_back(std::move(file));
  }
  std::sort(found.begin(), found.end(),
            [](const JournalFile& a, const JournalFile& b) { return a.name < b.name; });
  return found;
}

namespace {

// One pass; holds what is only needed while it runs.
class Scanner {
 public:
  Scanner(JournalFiles* files, const std::string& dir, bool settle, const Journal::Reader& reader,
          JournalScan* scan)
      : files_(files), dir_(dir), settle_(settle), reader_(reader), scan_(scan) {}

  Status Run() {
    Result<std::vector<JournalFile>> listed = ListJournal(files_, dir_);
    if (!listed.ok()) return listed.status();
    for (JournalFile& file : *listed) {
      scan_->highest_sequence = std::max(scan_->highest_sequence, file.sequence);
      if (file.kind != JournalFileKind::kSegment) continue;
      scan_->segments.emplace_back().file = std::move(file);
    }
    for (size_t i = 0; i < scan_->segments.size(); i++) TRY(ReadHeader(i));
    FindLimits();
    for (size_t i = 0; i < scan_->segments.size(); i++) TRY(ScanSegment(i));
    Judge();
    return Status::Ok();
  }

 private:
  Lsn expected() const { return scan_->last + 1; }
  std::string PathOf(size_t segment) const {
    return dir_ + "/" + scan_->segments[segment].file.name;
  }

  Status ReadHeader(size_t index) {
    JournalScan::Segment& segment = scan_->segments[index];
    SegmentReader reader(files_);
    TRY(reader.Open(PathOf(index), settle_));
    segment.state = reader.state();
    segment.header = reader.header();
    segment.size = reader.size();
    if (segment.state == HeaderState::kTooNew) {
      return Status(Code::kTooNew,
                    PathOf(index) + ": format version " + std::to_string(segment.header.version) +
                        " is newer than this program's " + std::to_string(kJournalVersion));
    }
    // A file under another segment's name is as good as none.
    if (segment.state == HeaderState::kGood && segment.header.sequence != segment.file.sequence) {
      scan_->highest_sequence = std::max(scan_->highest_sequence, segment.header.sequence);
      segment.state = HeaderState::kDamaged;
    }
    return Status::Ok();
  }

  void FindLimits() {
    Lsn limit = UINT64_MAX;  // set by the runs after `run`
    Lsn base = UINT64_MAX;   // of `run`
    uint64_t run = 0;
    for (size_t i = scan_->segments.size(); i-- > 0;) {
      JournalScan::Segment& segment = scan_->segments[i];
      if (segment.state != HeaderState::kGood) continue;
      if (segment.header.run != run) limit = std::min(limit, base);
      run = segment.header.run;
      base = segment.header.base;
      segment.limit = limit;
    }
  }

  Status ScanSegment(size_t index) {
    if (scan_->segments[index].state != HeaderState::kGood) {
      if (!unreadable_) unreadable_ = index;
      return Status::Ok();
    }
    Witness(index, 0, scan_->segments[index].header.attested);
    SegmentReader reader(files_);
    TRY(reader.Open(PathOf(index), false));
    return ScanRecords(index, &reader);
  }

  Status ScanRecords(size_t index, SegmentReader* reader) {
    JournalScan::Segment& segment = scan_->segments[index];
    bool failed = false;  // a segment holds each LSN at most once
    while (true) {
      SegmentReader::Record record;
      Result<bool> more = reader->Next(&record);
      if (!more.ok()) return more.status();
      // The place of the missing record is better known by the first thing that is not one.
      if (at_gap_ && scan_->end_segment == index && reader->garbage()) {
        scan_->end_offset = *reader->garbage();
      }
      at_gap_ = false;
      if (!*more) return Status::Ok();
      Lsn lsn = record.header.lsn;
      Witness(index, record.offset, record.header.attested);
      // Segments are in LSN order: what cannot be read before this one was not needed.
      if (lsn <= expected()) unreadable_.reset();
      if (lsn > expected() || lsn > segment.limit || (lsn == expected() && failed)) continue;
      if (lsn == expected()) {
        Result<std::optional<std::string_view>> payload = reader->Payload(record);
        if (!payload.ok()) return payload.status();
        if (!payload->has_value()) {
          failed = payload_damaged_ = true;
          MoveEnd(index, record.offset);
          at_gap_ = false;
          continue;
        }
        TRY(reader_(lsn, record.header.epoch, **payload));
        scan_->last = lsn;
        scan_->payload_bytes += record.header.length;
      }
      segment.last = std::max(segment.last, lsn);
      MoveEnd(index, record.end());
    }
  }

  // The chain ends here as far as is known.
  void MoveEnd(size_t segment, uint64_t offset) {
    scan_->end_segment = segment;
    scan_->end_offset = offset;
    at_gap_ = true;
  }

  // Keeps the strongest proof, and where it is. What a later run began without, a repair gave up.
  void Witness(size_t segment, uint64_t offset, Lsn attested) {
    attested = std::min(attested, scan_->segments[segment].limit);
    if (attested <= scan_->attested) return;
    scan_->attested = attested;
    witness_ = "offset " + std::to_string(offset) + " of " + PathOf(segment);
  }

  void Judge() {
    // A segment that cannot be read, right behind the last good record, is where the next one was.
    bool lost_segment = unreadable_ &&
                        (*unreadable_ == scan_->end_segment + 1 || scan_->last < scan_->first) &&
                        !payload_damaged_;
    if (scan_->attested > scan_->last && !lost_segment) {
      std::string what = "record " + std::to_string(expected()) + " is damaged or missing; ";
      std::string where = scan_->segments.empty() ? dir_ : PathOf(scan_->end_segment);
      scan_->damage =
          Status(Code::kCorrupt, where + ": offset " + std::to_string(scan_->end_offset) + ": " +
                                     what + "that it was durable is proved at " + witness_);
    } else if (unreadable_) {
      scan_->end_segment = *unreadable_;
      scan_->end_offset = 0;
      scan_->damage = Status(Code::kCorrupt,
                             PathOf(*unreadable_) + ": offset 0: the segment's header is damaged");
    }
  }

  JournalFiles* files_;
  const std::string& dir_;
  bool settle_;
  const Journal::Reader& reader_;
  JournalScan* scan_;
  bool payload_damaged_ = false;      // of the record that was to come next
  bool at_gap_ = false;               // the end was set by the record before
  std::optional<size_t> unreadable_;  // first segment that may have held what comes next
  std::string witness_;
};

}  // namespace

Status ScanJournal(JournalFiles* files, const std::string& dir, Lsn first, bool settle,
                   const Journal::Reader& reader, JournalScan* scan) {
  *scan = JournalScan{};
  scan->first = first;
  scan->last = first - 1;
  return Scanner(files, dir, settle, reader, scan).Run();
}

}  // namespace sluice
